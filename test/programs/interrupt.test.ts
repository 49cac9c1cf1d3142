/**
 * A prompt that is cut at any instant leaves a history that a provider accepts, and the next prompt works.
 */
import { setImmediate } from "node:timers/promises"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, FiberId, Option, Schema } from "effect"
import { Agent, Conversation, type Entry, Script, SessionLock, Sessions, SessionStore, Tool } from "effect-baton"
import { engine } from "../support/engine.js"
import { runSeeded } from "../support/SeededScheduler.js"
import { problems } from "../support/validMessages.js"

const script: Script.Script = [
  Script.on(
    "go",
    {
      reasoning: "thinking",
      text: "First, tools.",
      chunk: 4,
      calls: [
        Script.call("note", { text: "one" }),
        Script.task("look", { agent: "child" }),
        Script.call("note", { text: "two" }),
        Script.call("missing"),
        Script.call("note", { text: 3 })
      ]
    },
    Script.calls(Script.call("nap"), Script.call("note", { text: "three" })),
    { text: "All done.", chunk: 3 }
  ),
  Script.on("look", Script.calls(Script.call("note", { text: "child" })), "The child looked."),
  Script.on("next", "Still here.")
]

interface Outcome {
  readonly entries: ReadonlyArray<Entry.Entry>
  readonly childEntries: ReadonlyArray<Entry.Entry>
  readonly effects: ReadonlyArray<string>
  readonly exit: Exit.Exit<unknown, unknown>
  readonly free: boolean
  readonly next: string
}

/** Runs the script under a seed and interrupts the prompt at a step. */
const run = (seed: number, at: number) => {
  const effects: Array<string> = []
  const note = Tool.make("note", {
    description: "Writes a note",
    parameters: Schema.Struct({ text: Schema.String }),
    run: ({ text }, call) =>
      Effect.zipRight(
        Effect.yieldNow(),
        Effect.sync(() => {
          effects.push(`${call.session}/${call.callId}`)
          return text
        })
      )
  })
  const nap = Tool.make("nap", { description: "Sleeps", run: () => Effect.as(Effect.sleep("1 second"), "rested") })
  const child = Agent.make("child", { tools: [note], delegate: "off" })
  const agent = Agent.make("a", { tools: [note, nap], subagents: [child], delegate: "off" })
  let prompt: Fiber.RuntimeFiber<unknown, unknown> | undefined
  let over = false
  let reached = false
  let begin = 0
  const program: Effect.Effect<Outcome, unknown> = Effect.gen(function* () {
    const sessions = yield* Sessions.Sessions
    const lock = yield* SessionLock.SessionLock
    const session = yield* sessions.open({ id: "s", agent })
    prompt = yield* Effect.fork(session.prompt("go"))
    const exit = yield* Fiber.await(prompt)
    over = true
    const free = Option.isNone(yield* lock.holder("s"))
    const entries = yield* session.history
    const childEntries = [...(yield* SessionStore.Memory).values()].find((it) => it.row.parent === "s")?.entries ?? []
    const { text } = yield* session.prompt("next")
    return { entries, childEntries, effects, exit, free, next: text }
  }).pipe(Effect.provide(engine(script)))
  const { exit } = runSeeded(program, {
    seed,
    // Building the engine takes thousands of steps; there are some left for the prompt.
    maxYields: 1_000,
    onStep: (step) => {
      if (prompt === undefined) begin = step + 1
      if (step !== at || over) return
      reached = true
      prompt?.unsafeInterruptAsFork(FiberId.none)
    }
  })
  return { exit, reached, begin }
}

const check = ({ childEntries, effects, entries, exit, free, next }: Outcome): void => {
  assert.isTrue(free, "the session is free")
  assert.strictEqual(next, "Still here.")
  assert.isTrue(Exit.isSuccess(exit) || Cause.isInterruptedOnly(exit.cause), String(exit))
  for (const history of [entries, childEntries]) {
    const starts = history.filter((entry) => entry._tag === "OperationStarted")
    const ends = history.filter((entry) => entry._tag === "OperationSettled")
    assert.deepStrictEqual(
      ends.map((entry) => entry.operationId),
      starts.map((entry) => entry.operationId)
    )
    const begun = history.flatMap((entry) => (entry._tag === "TaskLink" ? [entry.taskId] : []))
    const ended = history.flatMap((entry) => (entry._tag === "TaskSettled" ? [entry.taskId] : []))
    assert.deepStrictEqual(ended, begun)
    // Cut at any entry, as a crash would: what a provider is sent is valid.
    for (let n = 0; n <= history.length; n++) {
      const wrong = problems(Conversation.fold(history.slice(0, n)))
      if (wrong.length > 0) assert.fail(`cut before entry ${n + 1}: ${wrong.join("; ")}`)
    }
    for (const turn of history.filter((entry) => entry._tag === "Assistant")) {
      const calls = turn.content.flatMap((part) => (part.type === "tool-call" ? [part.id] : []))
      const settled = history.flatMap((entry) =>
        entry._tag === "ToolSettled" && calls.includes(entry.callId) ? [entry.callId] : []
      )
      assert.sameMembers(settled, calls, "each call is settled once")
    }
  }
  const started = new Set(
    [...entries.map((entry) => ["s", entry] as const), ...childEntries.map((entry) => ["child", entry] as const)]
      .filter(([, entry]) => entry._tag === "ToolStarted")
      .map(([session, entry]) => `${session}/${entry._tag === "ToolStarted" ? entry.callId : ""}`)
  )
  for (const effect of effects) {
    const [session, callId] = [effect.slice(0, effect.indexOf("/")), effect.slice(effect.indexOf("/") + 1)]
    assert.isTrue(started.has(`${session === "s" ? "s" : "child"}/${callId}`), `${effect} was recorded before it ran`)
  }
}

describe("a prompt with parallel tools and a task", () => {
  for (const seed of [1, 2, 3]) {
    it(`interrupted at every scheduler step (seed ${seed})`, { timeout: 120_000 }, async () => {
      let cut = 0
      for (let at = run(seed, -1).begin; ; at++) {
        const { exit, reached } = run(seed, at)
        if (!reached) break
        if (exit === undefined || Exit.isFailure(exit)) {
          throw new Error(`step ${at}: ${exit === undefined ? "hung" : Cause.pretty(exit.cause)}`)
        }
        try {
          check(exit.value)
        } catch (cause) {
          throw new Error(`interrupted at step ${at}`, { cause })
        }
        if (Exit.isFailure(exit.value.exit)) cut++
        // The runner reports between the runs.
        if (at % 64 === 0) await setImmediate()
      }
      assert.isAbove(cut, 200, "most steps lie within the prompt")
    })
  }
})
