/**
 * The scenario of the fault matrix: everything that a session does, with points of its own where no store writes.
 */
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { Cause, Context, Deferred, Effect, Exit, Fiber, Layer, Schema } from "effect"
import { type Agent, Errors, Limits, Model, Sandbox, Script, type Sessions, Tool } from "effect-baton"
import { NodeSandbox } from "effect-baton/node"
import type { Failpoints } from "effect-baton/testing"
import { type Effected, scenario as everything } from "../../support/recoveries.js"
import { type Ledgers, linesOf } from "./ledger.js"

type Points = Context.Tag.Service<Failpoints.Failpoint>

export interface Stage {
  readonly folder: string
  readonly ledgers: Ledgers
  readonly points: Points
  /** Whether it is the first process: one that recovers waits for nothing. */
  readonly isFirst: boolean
}

/** Names a request by what it is made of. */
export const digestOf = (messages: unknown): string =>
  createHash("sha1").update(JSON.stringify(messages)).digest("base64url")

/** A scripted model that says what it is asked, and comes by a point before, between and after what it says. */
const modelOf = ({ ledgers, points }: Stage, script: Script.Script): Layer.Layer<Model.Model> =>
  Layer.succeed(Model.Model, {
    defaultModel: "scripted",
    stream: (request, emit) => {
      const at = (point: string) =>
        Effect.mapError(
          points.hit(point),
          (error) => new Errors.ModelUnavailable({ model: request.model, reason: error.message })
        )
      return Effect.gen(function* () {
        ledgers.requests({ digest: digestOf(request.messages), pid: process.pid })
        yield* at("request sent")
        const turn = Script.choose(script, request)
        if (turn instanceof Errors.ModelRejected) return yield* turn
        if (turn.before !== undefined) yield* turn.before
        for (const event of Script.eventsOf(turn, request)) {
          emit(event)
          if (event._tag === "TextDelta") yield* at("delta")
        }
        yield* at("stream done")
        return Script.finishOf(turn, request)
      })
    }
  })

/** A sandbox whose command is cut in its middle where that is planned. */
const sandboxOf = ({ folder, points }: Stage, sandbox: Context.Tag.Service<Sandbox.Sandbox>) => {
  const at = (point: string) =>
    Effect.mapError(
      points.hit(point),
      (error) => new Errors.SandboxError({ operation: "exec", path: folder, reason: error.message })
    )
  const hasBegun = eventually(() => linesOf<Effected>(folder, "effects").some(({ tool }) => tool === "shell"))
  return Sandbox.Sandbox.of({
    ...sandbox,
    exec: (request) =>
      Effect.scoped(
        Effect.gen(function* () {
          yield* at("shell entered")
          const running = yield* Effect.forkScoped(sandbox.exec(request))
          yield* Effect.raceFirst(hasBegun, Effect.asVoid(Fiber.await(running)))
          yield* at("shell half way")
          fs.writeFileSync(path.join(folder, "ledgers", "went"), "")
          const result = yield* Fiber.join(running)
          yield* at("shell done")
          return result
        })
      )
  })
}

/** A command that does something once, and ends when it is told to, or after a second. */
const command = `echo '{"tool":"shell","key":"shell"}' >> ledgers/effects
for i in 0 1 2 3 4 5 6 7 8 9; do [ -e ledgers/went ] && break; sleep 0.1; done; echo done`

const Answer = Schema.Struct({ answer: Schema.Number })

/** The agent, the model and the sandbox of the scenario. */
export const actors = (stage: Stage) =>
  Effect.gen(function* () {
    const { folder, isFirst, ledgers, points } = stage
    const reached = yield* Deferred.make<void>()
    const { agent, script } = everything(({ key, tool }) =>
      Effect.gen(function* () {
        yield* points.hit(`tool ${tool} entered`)
        yield* Effect.yieldNow()
        ledgers.effects({ tool, key })
        yield* points.hit(`tool ${tool} done`)
      })
    )
    const renewed = eventually(() => points.hits.some(({ point }) => point === "renew after"))
    const slow = Tool.make("slow", {
      description: "Takes as long as it takes until the lease is renewed",
      effects: "pure",
      run: () => Effect.as(isFirst ? renewed : Effect.void, "slow")
    })
    const hang = Effect.zipRight(Deferred.succeed(reached, undefined), Effect.never)
    const sandbox = Context.get(yield* Layer.build(NodeSandbox.layer({ root: folder })), Sandbox.Sandbox)
    const lead: Agent.Agent = { ...agent, tools: [...agent.tools, slow] }
    return {
      agent: lead,
      layer: Layer.mergeAll(
        modelOf(stage, [
          Script.on("tell", { text: "Once upon a time there was a session.", chunk: 10 }),
          Script.on("hang", isFirst ? { before: hang, text: "" } : "no longer"),
          Script.on("slow", Script.calls(Script.call("slow")), "slowly"),
          ...script
        ]),
        Layer.succeed(Sandbox.Sandbox, sandboxOf(stage, sandbox)),
        // A model that fails is asked again at once.
        Layer.succeed(Limits.Limits, { ...Limits.defaults, retryDelay: 1 })
      ),
      /** Completes when the model hangs. */
      hangs: Deferred.await(reached)
    }
  })

export type Actors = Effect.Effect.Success<ReturnType<typeof actors>>

/** Looks every 3 ms. */
const eventually = (isSo: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => (isSo() ? Effect.void : Effect.zipRight(Effect.sleep(3), eventually(isSo))))

/** What a caller is told at the end of a step: the text, and the entries of the operation where it tells them. */
interface Told {
  readonly text: string
  readonly entries?: { readonly from: number; readonly to: number }
}

/** The sessions of the scenario. */
export const sessionNames = ["s", "other", "fork", "what"]

/** The steps of the scenario, in order. Each fails or completes by itself. */
export const steps = (
  sessions: Context.Tag.Service<Sessions.Sessions>,
  session: Sessions.Session,
  { agent, hangs }: Actors
): Readonly<Record<string, Effect.Effect<Told, unknown>>> => ({
  go: session.prompt("go"),
  answer: session.prompt("answer", { resultSchema: Answer }),
  dig: Effect.map(session.task("dig alone", { agent: "digger" }), ({ text }) => ({ text })),
  tell: session.prompt("tell"),
  shell: Effect.map(session.shell(command), ({ stdout: text }) => ({ text })),
  rollback: Effect.gen(function* () {
    const hanging = yield* Effect.fork(session.prompt("hang"))
    yield* Effect.raceFirst(hangs, Effect.asVoid(Fiber.await(hanging)))
    return yield* session.prompt("hello", { onBusy: "rollback" })
  }),
  remove: Effect.gen(function* () {
    const other = yield* sessions.open({ id: "other", agent })
    yield* other.prompt("dig elsewhere")
    const fork = yield* other.fork("fork")
    yield* fork.label("dug")
    yield* sessions.remove("other")
    // What is shared with it is there without it.
    yield* fork.whatIf("what", { from: null, input: "dig otherwise" })
    yield* fork.moveTo(null)
    return { text: "removed" }
  }),
  slow: session.prompt("slow"),
  compact: Effect.map(session.compact(), ({ _tag }) => ({ text: _tag }))
})

/** What was acknowledged of a step, or how it ended otherwise. */
export type Ack =
  | { readonly step: string; readonly ok: Told }
  | { readonly step: string; readonly failed: string }
  | { readonly step: string; readonly died: string }

/** Runs the scenario; what comes of each step is written down as it is told. */
export const perform = (sessions: Context.Tag.Service<Sessions.Sessions>, it: Actors, { acks }: Ledgers) =>
  Effect.gen(function* () {
    const session = yield* sessions.open({ id: "s", agent: it.agent })
    for (const [step, run] of Object.entries(steps(sessions, session, it))) {
      // A fiber of its own: one that is interrupted by plan ends with its step.
      const exit = yield* Fiber.await(yield* Effect.fork(run))
      acks(ackOf(step, exit))
    }
  })

const ackOf = (step: string, exit: Exit.Exit<Told, unknown>): Ack => {
  if (Exit.isSuccess(exit)) return { step, ok: { text: exit.value.text, ...entriesOf(exit.value) } }
  if (Cause.isInterrupted(exit.cause)) return { step, failed: "interrupted" }
  const error = Cause.failureOption(exit.cause)
  if (error._tag === "None") return { step, died: Cause.pretty(exit.cause) }
  const { value } = error
  return { step, failed: typeof value === "object" && value !== null && "_tag" in value ? String(value._tag) : "?" }
}

const entriesOf = ({ entries }: Told) => (entries === undefined ? {} : { entries })
