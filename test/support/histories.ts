/**
 * Sessions with a random past: prompts that call tools, delegate, fail, are cut and rolled back; heads that were moved,
 * names of entries, and compactions.
 */
import { Effect, FastCheck as fc, Fiber } from "effect"
import { Agent, Conversation, type Entry, Errors, Script, Sessions, SessionStore, Usage } from "effect-baton"
import * as Draft from "../../src/services/Draft.js"
import { echo } from "./engine.js"

export type Act =
  | { readonly does: "say" | "reject" | "cut" | "rollback" | "shell"; readonly text: string }
  | { readonly does: "call"; readonly calls: ReadonlyArray<"echo" | "task" | "nested" | "bad"> }
  | { readonly does: "move" | "compact"; readonly to: number }
  | { readonly does: "label"; readonly to: number; readonly text: string }

export const texts: fc.Arbitrary<string> = fc.oneof(
  fc.string({ maxLength: 20, unit: "grapheme" }),
  fc.string({ maxLength: 20, unit: "binary" }),
  fc.constantFrom("# heading", "```\nfence", "<b>bold</b>", "\u001b[31mred", "a\r\nb\tc", "x".repeat(300))
)

export const acts: fc.Arbitrary<ReadonlyArray<Act>> = fc.array(
  fc.oneof(
    fc.record({ does: fc.constantFrom("say", "say", "reject", "cut", "rollback", "shell"), text: texts }),
    fc.record({
      does: fc.constant("call"),
      calls: fc.array(fc.constantFrom("echo", "echo", "task", "nested", "bad"), { minLength: 1, maxLength: 3 })
    }),
    fc.record({ does: fc.constantFrom("move", "compact"), to: fc.nat(1_000) }),
    fc.record({ does: fc.constant("label"), to: fc.nat(1_000), text: texts })
  ) as fc.Arbitrary<Act>,
  { minLength: 1, maxLength: 8 }
)

const worker = Agent.make("worker", {
  description: "Works",
  tools: [echo],
  delegate: "off",
  subagents: [Agent.make("helper", { description: "Helps", delegate: "off" })]
})

export const agent = Agent.make("lead", { tools: [echo], subagents: [worker], delegate: "off" })

export const script: Script.Script = [
  Script.on(
    /^call /,
    ({ prompt }) => ({
      reasoning: "hm",
      text: `I call for ${prompt}`,
      calls: prompt
        .slice("call ".length)
        .split(" ")
        .map((word) => {
          if (word === "task") return Script.task("say sub", { agent: "worker" })
          if (word === "nested") return Script.task("nest", { agent: "worker", description: "nested *work*" })
          return word === "bad" ? Script.call("bad", { a: [1] }) : Script.call("echo", { text: `of ${prompt}` })
        })
    }),
    "done"
  ),
  Script.on(/^nest/, Script.calls(Script.task("say deep", { agent: "helper" })), "nested"),
  Script.on(/^reject/, { fail: new Errors.ModelRejected({ model: "m", reason: "no", status: 400 }) }),
  Script.on(
    /^hang in a task/,
    Script.calls(Script.task("hang", { agent: "worker" }), Script.call("echo", { text: "x" }))
  ),
  Script.on(/^hang/, { before: Effect.never }),
  Script.always(({ prompt }) => `answer to ${prompt}`)
]

/** Lives through the acts in a session, one after the other. */
export const live = (id: string, past: ReadonlyArray<Act>) =>
  Effect.gen(function* () {
    const sessions = yield* Sessions.Sessions
    for (const act of past) {
      const session = yield* sessions.open({ id, agent })
      switch (act.does) {
        case "say":
          yield* session.prompt(`say ${act.text}`)
          break
        case "call":
          yield* session.prompt(`call ${act.calls.join(" ")}`)
          break
        case "reject":
          yield* Effect.flip(session.prompt(`reject ${act.text}`))
          break
        case "shell":
          yield* Effect.flip(session.shell(`ls ${act.text}`))
          break
        case "cut":
        case "rollback": {
          const fiber = yield* Effect.fork(session.prompt(`hang in a task ${act.text}`))
          yield* Effect.repeatN(Effect.yieldNow(), act.text.length)
          if (act.does === "rollback") yield* session.prompt("say instead", { onBusy: "rollback" })
          yield* Fiber.interrupt(fiber)
          break
        }
        default:
          yield* write(id, act)
      }
    }
  })

/** Writes what has no operation yet, as the engine would. */
const write = (id: string, act: Extract<Act, { readonly to: number }>) =>
  Effect.gen(function* () {
    const store = yield* SessionStore.SessionStore
    const row = (yield* store.get(id))!
    const entries = yield* store.read(id, row.incarnation, 1)
    if (row.running !== null || entries.length === 0) return
    const last = entries.length
    const to = (act.to % last) + 1
    const drafts: Array<Draft.Draft> = []
    // A head goes to where nothing runs.
    const ends = entries.filter((it) => it._tag === "OperationSettled")
    if (act.does === "move") drafts.push(Draft.headMoved(ends[act.to % (ends.length + 1)]?.id ?? null))
    if (act.does === "label") drafts.push(Draft.label(act.text.toWellFormed().replaceAll("\0", ""), to))
    if (act.does === "compact") {
      const starts = Conversation.Conversation.at(entries, last).starts()
      const kept = starts.filter((it) => it > 0)
      drafts.push(
        Draft.operationStarted("compact", undefined, undefined),
        Draft.compaction({
          summary: `What was: ${act.to}`,
          firstKept: kept[act.to % (kept.length + 1)] ?? null,
          trigger: "manual",
          tokensBefore: 1_000,
          tokensAfter: 100,
          files: { read: ["a.txt"], changed: [] },
          model: "scripted",
          usage: { ...Usage.zero, input: 7 }
        }),
        Draft.operationSettled("compact", undefined, Usage.report(Usage.zero, Usage.zero, Usage.zero, Usage.zero), {
          outcome: "completed"
        })
      )
    }
    const placed = drafts.map((draft, i): Entry.Entry => {
      const parent = draft._tag === "HeadMoved" ? draft.parentId : last + i
      return Draft.place(draft, last + i + 1, parent, last, `w${last}`)
    })
    yield* store.append({
      session: id,
      incarnation: row.incarnation,
      owner: "test",
      epoch: row.epoch,
      lease: "once",
      leaseFor: 1_000,
      expectedSeq: last + 1,
      entries: placed,
      running: null,
      partial: null,
      children: [],
      delivered: []
    })
  })

/** A session in which something runs, in a task too, until the scope ends. */
export const hanging = (id: string) =>
  Effect.gen(function* () {
    const session = yield* (yield* Sessions.Sessions).open({ id, agent })
    yield* Effect.forkScoped(session.prompt("hang in a task"))
    yield* Effect.repeatN(Effect.yieldNow(), 200)
    return session
  })
