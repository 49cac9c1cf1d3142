/**
 * One run of a subject under a seed: what it came to, and the laws that it broke.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { Event } from "../../services/Event.js"
import { Events } from "../../services/Events.js"
import { Ids } from "../../services/Ids.js"
import { Model, type ModelRequest } from "../../services/Model.js"
import { on, type Script } from "../../services/Script.js"
import { type PromptError, type Reply, Sessions } from "../../services/Session.js"
import { currentMark, SessionLock } from "../../services/SessionLock.js"
import { type Breach, breaches, openCalls } from "../../services/testing/Law.js"
import type { Outcome } from "../../services/testing/Outcome.js"
import { keptAfter, type StoreWrite } from "../../services/testing/StoreWrite.js"
import type { Subject, SubjectOf, Verdict } from "../../services/testing/Subject.js"
import * as Engine from "../Engine.js"
import * as ScriptedModel from "../ScriptedModel.js"
import { random, type RunPromiseOptions, runPromise } from "./Seeded.js"
import * as StoreJournal from "./StoreJournal.js"

/** How one run goes. */
export interface Trial {
  readonly seed: number
  /** The step at which the prompt is interrupted, counted from 0 at the first op of the first prompt. */
  readonly step?: number | undefined
}

export interface Schedule extends Pick<RunPromiseOptions, "maxSteps" | "patience" | "signal"> {
  /** How likely a fiber yields at an op of a prompt. Default: 0.05. */
  readonly yieldProbability?: number | undefined
  /** How many such yields there are at most in a run. Default: 200. */
  readonly maxYields?: number | undefined
}

export interface Tried {
  readonly breaches: ReadonlyArray<Breach>
  /** `undefined` where the run did not come to an end. */
  readonly outcome: Outcome | undefined
  readonly writes: ReadonlyArray<StoreWrite>
  /** How many steps the prompts took. */
  readonly steps: number
  /** Whether a prompt was interrupted. */
  readonly interrupted: boolean
}

/** Prompts a new session, then asks whether it still works. */
export const trial = async <R, I>(of: SubjectOf<R, I>, { seed, step }: Trial, schedule: Schedule): Promise<Tried> => {
  const subject = subjectOf(of)
  const seen = new Seen()
  let prompt: Fiber.RuntimeFiber<Reply, PromptError> | undefined
  let steps = 0
  let interrupted = false
  let outcome: Outcome | undefined
  const found: Array<Breach> = []

  const program = Effect.gen(function* () {
    seen.writes = yield* StoreJournal.StoreJournal
    const events = yield* (yield* Events).subscribe()
    const session = yield* (yield* Sessions).open({ id: sessionId, agent: subject.agent })
    const exits: Array<Exit.Exit<Reply, PromptError>> = []
    for (const input of subject.prompts ?? ["go"]) {
      prompt = yield* Effect.fork(session.prompt(input))
      exits.push(yield* Fiber.await(prompt))
      prompt = undefined
    }
    seen.outcome = outcome = {
      seed,
      step: interrupted ? step : undefined,
      session: sessionId,
      exits,
      histories: new Map([...keptAfter(seen.writes)].map(([id, { entries }]) => [id, entries])),
      writes: [...seen.writes],
      events: [...(yield* Queue.takeAll(events))] as ReadonlyArray<Event>,
      requests: [...seen.requests],
      held: yield* held(seen.writes)
    }
    found.push(...breaches(outcome), ...(yield* invariant(subject, outcome)))
    found.push(...nextBreach("next", yield* Effect.exit(session.prompt(stillThere))))
  })

  const yields = yielding(seed, schedule)
  const run = await runPromise(provided(subject, seed, seen, [], program), {
    ...inSchedule(schedule, seed),
    onStep: (_, fiber) => {
      seen.fibers.add(fiber)
      if (prompt === undefined) return false
      if (steps++ === step && prompt.unsafePoll() === null) {
        interrupted = true
        prompt.unsafeInterruptAsFork(FiberId.none)
      }
      return yields()
    }
  })
  found.push(...runBreaches(run.exit, seen))
  return { breaches: found, outcome, writes: seen.writes, steps, interrupted }
}

/** A new engine over what the first `crash` writes left: it goes on with what was cut, and the next prompt has to work. */
export const restart = async <R, I>(
  of: SubjectOf<R, I>,
  writes: ReadonlyArray<StoreWrite>,
  { crash, seed }: { readonly seed: number; readonly crash: number },
  schedule: Schedule
): Promise<ReadonlyArray<Breach>> => {
  const subject = subjectOf(of)
  const seen = new Seen()
  const program = Effect.gen(function* () {
    const session = yield* (yield* Sessions).open({ id: sessionId, agent: subject.agent })
    if (session.resumed !== undefined) yield* session.resumed.ended
    return yield* Effect.exit(session.prompt(stillThere))
  })
  const left = writes.slice(0, crash)
  const { exit } = await runPromise(provided(subject, seed, seen, left, program), inSchedule(schedule, seed))
  if (exit === undefined) return [{ law: "crash", detail: "what was cut, or the next prompt, never ended." }]
  if (Exit.isFailure(exit)) return [{ law: "crash", detail: `the session did not open: ${Cause.pretty(exit.cause)}` }]
  return nextBreach("crash", exit.value)
}

/** The session that is prompted. */
const sessionId = "session"

/** No script of a user has a scene for it. */
const stillThere = "[effect-baton/testing] Are you still there?"

const stillHere = "[effect-baton/testing] Still here."

/** Where a fiber yields is decided here: making the layers ready takes more steps than a prompt, and nothing runs beside it. */
const inSchedule = ({ maxSteps, patience, signal }: Schedule, seed: number): RunPromiseOptions => ({
  seed,
  maxSteps,
  patience,
  signal,
  stopAtEnd: true,
  yieldProbability: 0
})

const yielding = (seed: number, { maxYields = 200, yieldProbability = 0.05 }: Schedule): (() => boolean) => {
  const next = random(seed ^ 0x5eed)
  let left = maxYields
  return () => left > 0 && next() < yieldProbability && left-- > 0
}

/** What is seen of a run from outside. */
class Seen {
  readonly fibers = new Set<Fiber.RuntimeFiber<unknown, unknown>>()
  readonly requests: Array<ModelRequest> = []
  writes: ReadonlyArray<StoreWrite> = []
  outcome: Outcome | undefined
}

const subjectOf = <R, I>(of: SubjectOf<R, I>): Subject<R, I> => (typeof of === "function" ? of() : of)

/** Over an engine of its own, with ids that the next run has again. */
const provided = <A, E, R, I>(
  subject: Subject<R, I>,
  seed: number,
  seen: Seen,
  writes: ReadonlyArray<StoreWrite>,
  program: Effect.Effect<A, E, Engine.Services | StoreJournal.StoreJournal | Scope.Scope | R | I>
): Effect.Effect<A, unknown> => {
  const below = Layer.merge(StoreJournal.layerAfter(writes), recording(subject.script, seen.requests))
  const own = (subject.layer ?? Layer.empty) as Layer.Layer<R | I, unknown>
  let ids = 0
  // An engine that comes after a crash draws other ids than the one before.
  const process = writes.length === 0 ? "" : "restarted-"
  return program.pipe(
    Effect.scoped,
    Effect.provide(Layer.provideMerge(Engine.layer, below)),
    Effect.provide(own),
    Effect.provideService(Ids, { unsafeNext: () => `${process}id-${seed}-${ids++}` })
  ) as Effect.Effect<A, unknown>
}

/** The scripted model, with a scene for the next prompt, and a note of what it was asked. */
const recording = (script: Script, requests: Array<ModelRequest>): Layer.Layer<Model> => {
  const own = on((view) => view.prompt === stillThere, stillHere)
  return Layer.project(ScriptedModel.layer([own, ...script]), Model, Model, (model) => ({
    ...model,
    stream: (request, emit) =>
      Effect.suspend(() => {
        requests.push(request)
        return model.stream(request, emit)
      })
  }))
}

const held = (writes: ReadonlyArray<StoreWrite>): Effect.Effect<ReadonlyArray<string>, never, SessionLock> =>
  Effect.flatMap(SessionLock, ({ holder }) =>
    Effect.filter([...keptAfter(writes).keys()], (session) => Effect.map(holder(session), Option.isSome))
  )

const invariant = <R, I>(subject: Subject<R, I>, outcome: Outcome): Effect.Effect<ReadonlyArray<Breach>, never, I> => {
  const judged = Effect.suspend((): Effect.Effect<Verdict, unknown, I> => {
    const verdict = subject.invariant?.(outcome)
    return Effect.isEffect(verdict) ? verdict : Effect.succeed(verdict)
  })
  const breach = (detail: string): ReadonlyArray<Breach> => [{ law: "invariant", detail }]
  return Effect.matchCause(judged, {
    onFailure: (cause) => breach(messageOf(cause)),
    onSuccess: (verdict) =>
      verdict === false ? breach("it gave false.") : typeof verdict === "string" ? breach(verdict) : []
  })
}

const messageOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  if (typeof error === "string" && error !== "") return error
  return error instanceof Error && error.message !== "" ? error.message : Cause.pretty(cause)
}

const nextBreach = (law: "next" | "crash", exit: Exit.Exit<Reply, PromptError>): ReadonlyArray<Breach> => {
  if (Exit.isFailure(exit)) return [{ law, detail: messageOf(exit.cause) }]
  return exit.value.text === stillHere ? [] : [{ law, detail: `it answered ${JSON.stringify(exit.value.text)}.` }]
}

/** What the end of a run tells, or that there was none. */
const runBreaches = (exit: Exit.Exit<unknown, unknown> | undefined, seen: Seen): ReadonlyArray<Breach> => {
  if (exit === undefined) {
    const open = [...keptAfter(seen.writes).values()].flatMap(({ entries }) => openCalls(entries))
    const waits = open.length === 0 ? "" : ` Calls without an end: ${open.join(", ")}.`
    return seen.outcome === undefined
      ? [
          {
            law: "ends",
            detail: `a prompt had not ended when nothing more could happen, or after too many steps.${waits}`
          }
        ]
      : [{ law: "next", detail: `it never ended.${waits}` }]
  }
  if (Exit.isFailure(exit)) return [{ law: "opens", detail: Cause.pretty(exit.cause) }]
  const left = [...seen.fibers].filter((fiber) => fiber.unsafePoll() === null)
  if (left.length === 0) return []
  const [first] = left
  const lease = first!.getFiberRef(currentMark)?.lease
  const where =
    lease === undefined ? "" : `; the first was begun in the ${lease.kind} of session ${JSON.stringify(lease.session)}`
  const many = left.length === 1 ? "1 fiber has" : `${left.length} fibers have`
  return [{ law: "left", detail: `${many} not ended${where}.` }]
}
