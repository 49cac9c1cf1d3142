/**
 * What is gone on with ends as it would have without the cut: with the same limits, the same count of what was used, and
 * nothing left behind.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Schema, Scope, TestClock } from "effect"
import {
  Agent,
  Engine,
  type Entry,
  Errors,
  Model,
  Sandbox,
  Script,
  Sessions,
  SessionStore,
  Skill,
  Tool
} from "effect-baton"
import { StoreJournal } from "effect-baton/testing"
import { problems } from "../support/recoveries.js"
import { begin, settle } from "../support/stage.js"
import { emptySandbox } from "../support/emptySandbox.js"

type Writes = ReadonlyArray<StoreJournal.StoreWrite>

/** One process over what earlier ones have written. */
const life = <A, E>(
  before: Writes,
  script: Script.Script,
  use: (sessions: Context.Tag.Service<Sessions.Sessions>) => Effect.Effect<A, E>,
  sandbox: Layer.Layer<Sandbox.Sandbox> = Layer.empty as unknown as Layer.Layer<Sandbox.Sandbox>
) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(StoreJournal.layerAfter(before))
    const engine = yield* Layer.build(
      Layer.provide(Engine.layer, Layer.mergeAll(Layer.succeedContext(context), Model.layerScripted(script), sandbox))
    )
    const exit = yield* Effect.exit(use(Context.get(engine, Sessions.Sessions)))
    return {
      exit,
      writes: [...Context.get(context, StoreJournal.StoreJournal)],
      kept: Context.get(context, SessionStore.Memory)
    }
  }).pipe(Effect.scoped)

const resumedIn = (agent: Agent.Agent) => (sessions: Context.Tag.Service<Sessions.Sessions>) =>
  Effect.flatMap(sessions.open({ id: "s", agent }), (session) => session.resumed?.ended ?? Effect.void)

const look = Tool.make("look", { description: "Looks", effects: "pure", run: () => Effect.succeed("as before") })
const child = Agent.make("child", { tools: [look], delegate: "off" })
const review = Skill.make("review", { description: "Reviews a change", instructions: "Look twice." })
const agent = Agent.make("lead", { tools: [look], subagents: [child], skills: [review], delegate: "off" })

const used = { input: 10, output: 5, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
const looks = (n: number): Script.Turn => ({ calls: [Script.call("look", { n })], usage: used })

/** What a session's last operation said, and how it ended: without what tells when. */
const outcomeOf = (entries: ReadonlyArray<Entry.Entry>) => {
  const end = entries.at(-1)
  return {
    replies: entries.filter((it) => it._tag === "Assistant").length,
    notes: entries.flatMap((it) =>
      it._tag === "User"
        ? it.content.flatMap((part) => ("note" in part && part.type === "text" ? [part.text] : []))
        : []
    ),
    end: end?._tag === "OperationSettled" ? [end.outcome, end.error, end.usage] : end
  }
}

const cases: Readonly<
  Record<
    string,
    {
      readonly script: Script.Script
      readonly run: (session: Sessions.Session) => Effect.Effect<unknown, unknown>
      readonly tag: string | undefined
    }
  >
> = {
  "as many turns as it may have": {
    script: [Script.always(looks(1), looks(2), looks(3), looks(4), looks(5))],
    run: (session) => session.prompt("go", { limits: { turns: 4 } }),
    tag: "LimitReached"
  },
  "the calls of a task and its own count": {
    script: [
      Script.on("sub", looks(1), "sub done"),
      Script.always({ calls: [Script.task("sub", { agent: "child" })], usage: used }, looks(2), "done")
    ],
    run: (session) => session.prompt("go"),
    tag: undefined
  },
  "the skill that it was asked for, and those that it may load": {
    script: [
      Script.on("Follow", { calls: [Script.call("activate_skill", { name: "review" })], usage: used }, looks(2), "done")
    ],
    run: (session) => session.skill("review"),
    tag: undefined
  },
  "as many tokens as it may use": {
    script: [Script.always(looks(1), looks(2), looks(3), looks(4), looks(5))],
    run: (session) => session.prompt("go", { limits: { tokens: 45 } }),
    tag: "LimitReached"
  },
  "as many reminders of a result": {
    script: [Script.always("one", "two", "three", "four", "five", "six")],
    run: (session) => session.prompt("go", { resultSchema: Schema.Struct({ n: Schema.Number }) }),
    tag: "ResultUnavailable"
  },
  "one warning of going round in circles": {
    script: [Script.always(looks(1))],
    run: (session) => session.prompt("go", { limits: { turns: 30 } }),
    tag: "NoProgress"
  }
}

describe("an operation that is gone on with has", () => {
  for (const [name, { run, script, tag }] of Object.entries(cases)) {
    it.effect(`${name}, wherever it was cut`, () =>
      Effect.gen(function* () {
        const whole = yield* life([], script, (sessions) => Effect.flatMap(sessions.open({ id: "s", agent }), run))
        const expected = outcomeOf(whole.kept.get("s")!.entries)
        const end = whole.kept.get("s")!.entries.at(-1)
        assert.strictEqual(end?._tag === "OperationSettled" ? end.error?.tag : "no end", tag)
        for (let n = 2; n < whole.writes.length; n++) {
          const { kept } = yield* life(whole.writes.slice(0, n), script, resumedIn(agent))
          assert.deepStrictEqual(outcomeOf(kept.get("s")!.entries), expected, `cut after write ${n}`)
          assert.deepStrictEqual(problems(kept), [], `cut after write ${n}`)
        }
      })
    )
  }
})

describe("skills that came after an operation's start", () => {
  it.effect("are none of it, and are there for the next", () =>
    Effect.gen(function* () {
      const load = Script.calls(Script.call("activate_skill", { name: "later" }))
      const script = [Script.on("go", load, "done"), Script.on("next", load, "done")]
      const whole = yield* life([], script, (sessions) =>
        Effect.flatMap(sessions.open({ id: "s", agent }), (session) => session.prompt("go"))
      )
      const later = Skill.make("later", { description: "Came later", instructions: "Too late." })
      const richer = Agent.make("lead", { tools: [look], subagents: [child], skills: [review, later], delegate: "off" })
      const { kept } = yield* life(whole.writes.slice(0, 2), script, (sessions) =>
        Effect.flatMap(sessions.open({ id: "s", agent: richer }), (session) =>
          Effect.zipRight(session.resumed!.ended, session.prompt("next"))
        )
      )
      assert.deepStrictEqual(
        kept.get("s")!.entries.flatMap((it) => (it._tag === "ToolSettled" ? [it.result] : [])),
        ['There is no skill "later". The skills are: review.', "Skill later:\n\nToo late."]
      )
    })
  )
})

describe("children of a tool's own code", () => {
  let home: Context.Tag.Service<Sessions.Sessions>
  const delegating = (name: string, from: () => Agent.Agent, to: string) =>
    Tool.make(name, {
      description: "Delegates in its own code",
      run: (_, { session: id }) =>
        Effect.flatMap(home.get({ id, agent: from() }), (session) => session.task(`as ${to}`, { agent: to })).pipe(
          Effect.map(({ text }) => text),
          Effect.orDie
        )
    })
  const leaf = Agent.make("leaf", { delegate: "off" })
  const byCode: Agent.Agent = Agent.make("byCode", {
    tools: [delegating("deeper", () => byCode, "leaf")],
    subagents: [leaf],
    delegate: "off"
  })
  const byModel = Agent.make("byModel", { subagents: [leaf], delegate: "off" })
  const boss: Agent.Agent = Agent.make("boss", {
    tools: [delegating("code", () => boss, "byCode"), delegating("model", () => boss, "byModel")],
    subagents: [byCode, byModel],
    delegate: "off"
  })
  const script = [
    Script.on("as byCode", Script.calls(Script.call("deeper")), "done"),
    Script.on("as byModel", Script.calls(Script.task("as leaf", { agent: "leaf" })), "done"),
    Script.on("as leaf", "leaf done"),
    Script.on("code", Script.calls(Script.call("code")), "done"),
    Script.on("model", Script.calls(Script.call("model")), "done"),
    Script.always("ok")
  ]

  for (const how of ["code", "model"]) {
    it.effect(`are ended with all that is below them, wherever it was cut: by ${how}`, () =>
      Effect.gen(function* () {
        const whole = yield* life([], script, (sessions) => {
          home = sessions
          return Effect.flatMap(sessions.open({ id: "s", agent: boss }), (session) => session.prompt(how))
        })
        assert.deepStrictEqual(problems(whole.kept), [])
        assert.strictEqual(whole.kept.size, 3)
        for (let n = 2; n < whole.writes.length; n++) {
          const { kept } = yield* life(whole.writes.slice(0, n), script, resumedIn(boss))
          assert.deepStrictEqual(problems(kept), [], `cut after write ${n}`)
        }
      })
    )
  }

  it.scoped("are ended when their lease has run out, which may be later than their parent's", () =>
    Effect.gen(function* () {
      const memory = yield* Layer.build(SessionStore.layerMemory)
      const store = Context.get(memory, SessionStore.SessionStore)
      const gone = new Errors.SessionStoreError({ operation: "write", reason: "the process has died" })
      let isDead = false
      const mortal: typeof store = {
        ...store,
        append: (write) => (isDead ? gone : store.append(write)),
        renew: (...of) => (isDead ? Effect.succeed([]) : store.renew(...of))
      }
      const engine = (it: typeof store, turns: Script.Script) =>
        Effect.map(
          Layer.build(
            Layer.provide(
              Engine.layer,
              Layer.merge(Layer.succeed(SessionStore.SessionStore, it), Model.layerScripted(turns))
            )
          ),
          Context.get(Sessions.Sessions)
        )
      home = yield* engine(mortal, [script[3]!, Script.always({ before: Effect.never, text: "" })])
      yield* begin(Effect.exit((yield* home.open({ id: "s", agent: boss })).prompt("code")))
      isDead = true
      // Its child has written last.
      const kept = Context.get(memory, SessionStore.Memory)
      kept.get("s")!.leaseUntil = 0
      const [stray] = [...kept.values()].filter(({ row }) => row.parent === "s")
      stray!.leaseUntil = 2_500
      const session = yield* (yield* engine(store, script)).open({ id: "s", agent: boss })
      yield* Effect.repeatN(Effect.zipRight(TestClock.adjust("1 second"), settle), 4)
      yield* session.resumed!.ended
      assert.deepStrictEqual(problems(kept), [])
    })
  )
})

describe("a command that was cut", () => {
  it.effect("is not run again, and no model is asked what became of it", () =>
    Effect.gen(function* () {
      const commands: Array<string> = []
      const sandbox = Layer.succeed(
        Sandbox.Sandbox,
        emptySandbox(({ command }) =>
          Effect.sync(() => {
            commands.push(command)
            return { exitCode: 0, stdout: "out", stderr: "" }
          })
        )
      )
      const asked: Array<string> = []
      const script = [Script.always(({ prompt }) => (asked.push(prompt), "a word"))]
      const whole = yield* life(
        [],
        script,
        (sessions) => Effect.flatMap(sessions.open({ id: "s", agent }), (session) => session.shell("ls")),
        sandbox
      )
      const { kept } = yield* life(whole.writes.slice(0, 2), script, resumedIn(agent), sandbox)
      assert.deepStrictEqual([commands, asked], [["ls"], []])
      const entries = kept.get("s")!.entries
      assert.deepInclude(
        entries.find((it) => it._tag === "ToolSettled")!,
        { outcome: "unknown" }
      )
      assert.deepInclude(entries.at(-1)!, { _tag: "OperationSettled", kind: "shell", outcome: "failed" })
      assert.deepStrictEqual(problems(kept), [])
    })
  )
})

describe("a reply that was cut by the engine's end", () => {
  /** Says a word and waits for ever, or says all. */
  const speaking = (words: string, ends: boolean) =>
    Layer.succeed(Model.Model, {
      defaultModel: "speaking",
      stream: (_, emit) =>
        Effect.suspend(() => {
          emit({ _tag: "TextDelta", text: words })
          return ends ? Effect.succeed({ reason: "stop" as const, usage: used }) : Effect.never
        })
    })

  it.scoped("is no turn, and is followed by a word on it", () =>
    Effect.gen(function* () {
      const memory = yield* Layer.build(SessionStore.layerMemory)
      const engine = (model: Layer.Layer<Model.Model>, scope: Scope.Scope) =>
        Effect.map(
          Layer.buildWithScope(Layer.provide(Engine.layer, Layer.merge(Layer.succeedContext(memory), model)), scope),
          Context.get(Sessions.Sessions)
        )
      const scope = yield* Scope.make()
      const first = yield* engine(speaking("half a ", false), scope)
      yield* begin(Effect.exit((yield* first.open({ id: "s", agent })).prompt("go", { limits: { turns: 1 } })))
      yield* Scope.close(scope, Exit.void)
      const then = yield* engine(speaking("all of it", true), yield* Effect.scope)
      const session = yield* then.open({ id: "s", agent })
      yield* session.resumed!.ended
      const entries = yield* session.history
      assert.deepStrictEqual(
        entries.map((it) => (it._tag === "Assistant" ? `${it._tag} ${it.finish}` : it._tag)),
        [
          "OperationStarted",
          "WorkspaceRead",
          "User",
          "Assistant interrupted",
          "OperationResumed",
          "User",
          "Assistant stop",
          "OperationSettled"
        ]
      )
      assert.deepInclude(entries.at(-1)!, { outcome: "completed" })
    })
  )
})
