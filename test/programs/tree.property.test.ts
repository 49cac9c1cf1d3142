/**
 * Random prompts, moves, rewinds, edits, labels, rollbacks and forks, through handles of two engines on one store, against
 * a model that knows nothing of entries but what they were told: a list of what was said at each place.
 *
 * `BATON_LAW_RUNS` and `BATON_LAW_SEED` set how many are tried and from where, as for the laws of the lock.
 */
import { assert, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, FastCheck as fc, Fiber, Layer } from "effect"
import { Agent, Conversation, Engine, Errors, Model, Script, Sessions, SessionStore } from "effect-baton"
import { echo } from "../support/engine.js"
import { linesOf } from "../support/stage.js"
import { runSeeded } from "../support/SeededScheduler.js"
import { seen, wrong } from "../support/tree.js"
import { forAll, runs, timeout } from "../laws/support/property.js"

const kinds = [
  "prompt",
  "use",
  "fail",
  "cut",
  "rollback",
  "moveTo",
  "moveBack",
  "moveToLabel",
  "rewind",
  "edit",
  "label",
  "unlabel",
  "fork"
] as const

interface Step {
  readonly kind: (typeof kinds)[number]
  /** Which session, which of its handles, and which of the things that there are to choose from. */
  readonly session: number
  readonly handle: number
  readonly choice: number
}

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(...kinds),
  session: fc.nat(5),
  handle: fc.nat(2),
  choice: fc.nat(1_000)
})

/** What was said, as a model is told it: `user` in a row is one message. */
interface State {
  readonly said: ReadonlyArray<string>
  /** What is to be said of the request before, with the next one. */
  readonly note: string | undefined
  /** What was asked on the way here, and how it stood before. */
  readonly asked: { readonly text: string; readonly before: Place } | undefined
}

interface Place {
  readonly entry: number | null
  readonly state: State
}

const empty: State = { said: [], note: undefined, asked: undefined }

const ask = (state: State, text: string): ReadonlyArray<string> => {
  const words = state.note === undefined ? text : `${state.note} | ${text}`
  const last = state.said.at(-1)
  return last?.startsWith("user: ") === true
    ? [...state.said.slice(0, -1), `${last} | ${words}`]
    : [...state.said, `user: ${words}`]
}

const answers: Record<string, (text: string) => ReadonlyArray<string>> = {
  prompt: (text) => [`assistant: about ${text}`],
  use: () => ["assistant: echo()", "tool: once", "assistant: used"],
  fail: () => [],
  cut: () => []
}

const notes: Record<string, string | undefined> = {
  fail: "[The request above failed (ModelRejected) before it was answered.]",
  cut: "[The request above was interrupted before it was answered.]"
}

/** A session as the model has it. */
class Tale {
  head: Place = { entry: null, state: empty }
  /** Where it can be gone to, by the entry. */
  readonly places = new Map<number, State>()
  /** The inputs, by their entries, and how it stood before. */
  readonly inputs = new Map<number, Place>()
  readonly labels = new Map<string, number>()

  copy(): Tale {
    const tale = new Tale()
    tale.head = this.head
    for (const [entry, state] of this.places) tale.places.set(entry, state)
    for (const [entry, place] of this.inputs) tale.inputs.set(entry, place)
    for (const [name, entry] of this.labels) tale.labels.set(name, entry)
    return tale
  }

  /** Something was asked, as entries from one place to another. */
  prompted(before: Place, kind: string, text: string, start: number, end: number): void {
    const state: State = {
      said: [...ask(before.state, text), ...answers[kind]!(text)],
      note: notes[kind],
      asked: { text, before }
    }
    this.inputs.set(start + 1, before)
    this.places.set(end, state)
    this.head = { entry: end, state }
  }
}

const agent = Agent.make("a", { tools: [echo], delegate: "off" })

const check = (seed: number, steps: ReadonlyArray<Step>): string | undefined => {
  const { exit } = runSeeded(
    Effect.scoped(
      Effect.gen(function* () {
        const requests: Array<ReadonlyArray<string>> = []
        const script = [
          Script.on("cut", { before: Effect.never }),
          Script.on("fail", { fail: new Errors.ModelRejected({ model: "m", reason: "no" }) }),
          Script.on("use", Script.calls(Script.call("echo", { text: "once" })), "used"),
          Script.always(({ prompt }) => `about ${prompt}`)
        ]
        const watched = script.map((scene) => ({
          ...scene,
          matches: (view: Script.View) => {
            if (!scene.matches(view)) return false
            requests.push(linesOf(view.request.messages))
            return true
          }
        }))
        const store = yield* Layer.build(SessionStore.layerMemory)
        const below = Layer.merge(Layer.succeedContext(store), Model.layerScripted(watched))
        const engines = yield* Effect.all([
          Layer.build(Layer.provide(Layer.fresh(Engine.layer), below)),
          Layer.build(Layer.provide(Layer.fresh(Engine.layer), below))
        ])
        const [one, two] = engines.map((engine) => Context.get(engine, Sessions.Sessions))
        const memory = Context.get(store, SessionStore.Memory)
        const tales = [{ id: "s", tale: new Tale() }]
        const handles = new Map<string, ReadonlyArray<Sessions.Session>>()
        const opened = (id: string) =>
          Effect.gen(function* () {
            const known = handles.get(id)
            if (known !== undefined) return known
            const made = [
              yield* one!.open({ id, agent }),
              yield* one!.open({ id, agent }),
              yield* two!.open({ id, agent })
            ]
            handles.set(id, made)
            return made
          })
        for (const [n, { choice, handle, kind, session: which }] of steps.entries()) {
          const { id, tale } = tales[which % tales.length]!
          const session = (yield* opened(id))[handle]!
          const entries = () => memory.get(id)!.entries
          const length = () => entries().length
          const before = tale.head
          const text = `${kind} ${n}`
          const pick = <A>(list: Iterable<A>): A | undefined => {
            const all = [...list]
            return all[choice % Math.max(1, all.length)]
          }
          const begun = length()
          switch (kind) {
            case "prompt":
            case "use": {
              yield* session.prompt(text)
              tale.prompted(before, kind, text, begun + 1, length())
              break
            }
            case "fail": {
              yield* Effect.flip(session.prompt(text))
              tale.prompted(before, kind, text, begun + 1, length())
              break
            }
            case "cut": {
              const fiber = yield* Effect.fork(session.prompt(text))
              while (length() < begun + 2) yield* Effect.yieldNow()
              for (let i = 0; i < choice % 40; i++) yield* Effect.yieldNow()
              yield* Fiber.interrupt(fiber)
              tale.prompted(before, kind, text, begun + 1, length())
              break
            }
            case "rollback": {
              const fiber = yield* Effect.fork(session.prompt(`cut ${n}`))
              while (length() < begun + 2) yield* Effect.yieldNow()
              const again = (yield* opened(id))[handle === 2 ? 2 : choice % 2]!
              yield* again.prompt(`prompt ${n}`, { onBusy: "rollback" })
              assert.isTrue(Exit.isInterrupted(yield* Fiber.await(fiber)))
              const start = entries().findLast((entry) => entry._tag === "OperationStarted")!.id
              tale.prompted(before, "prompt", `prompt ${n}`, start, length())
              break
            }
            case "moveTo":
            case "moveBack": {
              const to = kind === "moveBack" ? null : pick([null, ...tale.places.keys()])!
              yield* session.moveTo(to)
              tale.head = { entry: to, state: to === null ? empty : tale.places.get(to)! }
              break
            }
            case "moveToLabel": {
              const name = pick(tale.labels.keys())
              if (name === undefined) {
                assert.strictEqual((yield* Effect.flip(session.moveTo("nothing")))._tag, "EntryNotFound")
                break
              }
              const { to } = yield* session.moveTo(name)
              assert.strictEqual(to, tale.labels.get(name))
              tale.head = { entry: to, state: tale.places.get(to!)! }
              break
            }
            case "rewind": {
              const steps = 1 + (choice % 3)
              let at: State["asked"]
              let state = tale.head.state
              for (let i = 0; i < steps; i++) {
                at = state.asked
                if (at === undefined) break
                state = at.before.state
              }
              if (at === undefined) {
                assert.deepInclude(yield* Effect.flip(session.rewind({ steps })), {
                  _tag: "InvalidInput",
                  path: "steps"
                })
                break
              }
              const { input } = yield* session.rewind({ steps })
              assert.deepStrictEqual(input, [{ type: "text", text: at.text }])
              tale.head = at.before
              break
            }
            case "edit": {
              const input = pick(tale.inputs.keys())
              if (input === undefined) break
              const place = tale.inputs.get(input)!
              yield* session.edit(input, `prompt ${n}`)
              const start = entries().findLast((entry) => entry._tag === "OperationStarted")!.id
              tale.prompted(place, "prompt", `prompt ${n}`, start, length())
              break
            }
            case "label": {
              const entry = pick(tale.places.keys())
              if (entry === undefined) break
              const name = `label ${choice % 3}`
              yield* session.label(name, entry)
              tale.labels.set(name, entry)
              break
            }
            case "unlabel": {
              const name = pick(tale.labels.keys()) ?? "nothing"
              yield* session.label(name, null)
              tale.labels.delete(name)
              break
            }
            case "fork": {
              if (tales.length === 4) break
              const name = `${id}f${n}`
              const forked = yield* session.fork(name)
              assert.deepStrictEqual(yield* forked.history, entries())
              tales.push({ id: name, tale: tale.copy() })
              break
            }
          }
          for (const it of tales) {
            const { entries } = memory.get(it.id)!
            // Whoever knows nothing, and whoever goes on, see what was said and nothing else.
            assert.deepStrictEqual(linesOf(seen(entries)), it.tale.head.state.said, `${it.id} after step ${n}`)
            assert.deepStrictEqual(wrong(entries), [])
            for (const [entry, { said }] of it.tale.places) {
              assert.deepStrictEqual(linesOf(Conversation.Conversation.at(entries, entry).messages()), said)
            }
          }
          const labels = yield* session.labels
          assert.deepStrictEqual([...labels].toSorted(), [...tale.labels].toSorted())
        }
        for (const { id, tale } of tales) {
          for (const session of yield* opened(id)) {
            const { head } = tale
            yield* session.prompt("last")
            // By what its engine knew, the model was told just this.
            assert.deepStrictEqual(requests.at(-1), ask(head.state, "last"))
            const length = memory.get(id)!.entries.length
            tale.prompted(head, "prompt", "last", 0, length)
          }
        }
      })
    ),
    { seed, maxSteps: 5_000_000 }
  )
  if (exit === undefined) return "it hung"
  return Exit.isSuccess(exit) ? undefined : Cause.pretty(exit.cause)
}

it.effect(
  "whatever is done to the head of a session, it is where it was moved to, and nothing is lost",
  () =>
    forAll(
      fc.record({ seed: fc.integer(), steps: fc.array(step, { maxLength: 14 }) }),
      Math.ceil(runs / 100),
      ({ seed, steps }) => check(seed, steps)
    ),
  timeout
)
