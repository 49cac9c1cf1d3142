import { stripVTControlCharacters } from "node:util"
import { SystemError } from "@effect/platform/Error"
import * as Terminal from "@effect/platform/Terminal"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, FastCheck as fc, Fiber, Layer, Queue, TestClock } from "effect"
import { Agent, type Event, Model, Script, Sessions } from "effect-baton"
import stringWidth from "string-width"
import * as Engine from "../../src/layers/Engine.js"
import { drawing, jsonLine, liveLines, plainLines, summary, textLines, treeLines } from "../../src/programs/render.js"
import { clean, empty, oneLine, step, type Tree } from "../../src/programs/tree.js"
import { Events } from "../../src/services/Events.js"

type AnyEvent = Event.Event

const zero = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
const usage = {
  turns: zero,
  retries: zero,
  compactions: zero,
  tasks: zero,
  total: { ...zero, input: 1200, output: 34 }
}

/** A prompt that delegates once; the child calls a tool that fails. */
const story = (text: string, seq = { next: 1 }): ReadonlyArray<AnyEvent> => {
  const at = (session: string, ms: number) => ({ session, at: ms, operationId: `op-${session}`, seq: seq.next++ })
  const calls = (name: string, args: unknown) => [{ id: "c", name, args }]
  const said = { model: "m", finish: "tool-calls" as const, usage: zero }
  return [
    { _tag: "OperationStarted", ...at("main", 0), kind: "prompt" },
    { _tag: "UserMessage", ...at("main", 0), text, images: 0, note: false },
    { _tag: "TextDelta", session: "main", at: 5, operationId: "op-main", text },
    { _tag: "AssistantMessage", ...at("main", 10), ...said, text, calls: calls("task", { prompt: text }) },
    { _tag: "ToolStarted", ...at("main", 10), callId: "c", name: "task" },
    { _tag: "TaskStarted", ...at("main", 10), taskId: "t", child: "kid", agent: text, description: text, callId: "c" },
    { _tag: "OperationStarted", ...at("kid", 11), kind: "prompt" },
    { _tag: "UserMessage", ...at("kid", 11), text, images: 0, note: false },
    { _tag: "AssistantMessage", ...at("kid", 20), ...said, text, calls: calls("bash", { command: text }) },
    { _tag: "ToolStarted", ...at("kid", 20), callId: "c", name: "bash" },
    { _tag: "ToolSettled", ...at("kid", 1520), callId: "c", name: "bash", outcome: "failure", result: text },
    { _tag: "AssistantMessage", ...at("kid", 1530), ...said, finish: "stop", text, calls: [] },
    { _tag: "OperationCompleted", ...at("kid", 1540), kind: "prompt", usage },
    { _tag: "TaskCompleted", ...at("main", 1541), taskId: "t", child: "kid", usage: usage.total },
    { _tag: "ToolSettled", ...at("main", 1542), callId: "c", name: "task", outcome: "success", result: text },
    { _tag: "TextDelta", session: "main", at: 1543, operationId: "op-main", text },
    { _tag: "AssistantMessage", ...at("main", 1550), ...said, finish: "stop", text, calls: [] },
    { _tag: "OperationCompleted", ...at("main", 61_000), kind: "prompt", usage },
    { _tag: "Idle", session: "main", at: 61_000 }
  ]
}

const grow = (events: ReadonlyArray<AnyEvent>): Tree => events.reduce(step, empty)

const plainOf = (events: ReadonlyArray<AnyEvent>): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let tree = empty
  for (const event of events) {
    tree = step(tree, event)
    lines.push(...plainLines(tree))
  }
  return lines
}

describe("the tree", () => {
  const compacting = (end: AnyEvent): ReadonlyArray<AnyEvent> => {
    const at = { session: "main", operationId: "op-main" }
    return [
      { _tag: "OperationStarted", ...at, at: 0, seq: 1, kind: "compact" },
      { _tag: "CompactionStarted", ...at, at: 0, trigger: "manual", tokens: 12_345, model: "m" },
      end,
      { _tag: "OperationCompleted", ...at, at: 2_000, seq: 3, kind: "compact", usage }
    ]
  }
  const ofMain = { session: "main", operationId: "op-main", at: 1_500, trigger: "manual" as const }

  it("draws a compaction under its operation, with what it came to", () => {
    const used = { ...zero, input: 900, output: 100 }
    const tokens = { tokensBefore: 12_345, tokensAfter: 2_345, usage: used }
    const completed = compacting({ _tag: "CompactionCompleted", ...ofMain, seq: 2, ...tokens })
    assert.deepStrictEqual(treeLines(grow(completed), { width: 100, colours: false, now: 0 }), [
      "✔ compact                                                                        1,234 tokens  2.0 s",
      "└─✔ summary Summarising the earlier part (12,345 -> 2,345 tokens)                1,000 tokens  1.5 s"
    ])
    assert.deepStrictEqual(plainOf(completed), [
      "▸ compact",
      "  ▸ summary Summarising the earlier part",
      "  ✔ summary Summarising the earlier part (12,345 -> 2,345 tokens)  1,000 tokens  1.5 s",
      "✔ compact  1,234 tokens  2.0 s"
    ])
    const error = { tag: "CompactionStalled", message: "the summary was empty" }
    const failed = compacting({ _tag: "CompactionFailed", ...ofMain, seq: 2, error, usage: used })
    assert.include(plainOf(failed)[2], "✖ summary Summarising the earlier part (the summary was empty)")
    const cut = { tag: "Interrupted", message: "It was interrupted." }
    const interrupted = compacting({ _tag: "CompactionFailed", ...ofMain, seq: undefined, error: cut, usage: used })
    assert.include(plainOf(interrupted)[2], "■ summary Summarising the earlier part  1,000 tokens")
  })

  it("draws operations, tasks and calls with times", () => {
    const lines = treeLines(grow(story("look")), { width: 60, colours: false, now: 0 })
    assert.deepStrictEqual(lines, [
      "✔ prompt look                       1,234 tokens  1 min 01 s",
      "├─ “look”",
      "└─✔ task look: look                      1,234 tokens  1.5 s",
      "  ├─ “look”",
      "  └─✖ bash look (look)                                 1.5 s"
    ])
  })

  it("shows what runs, and for how long", () => {
    const lines = treeLines(grow(story("look").slice(0, 10)), { width: 40, colours: false, now: 2_020 })
    assert.match(lines[0]!, /^. prompt look {2,}2\.0 s$/)
    assert.match(lines.at(-1)!, /^ {2}└─. bash look {2,}2\.0 s$/)
    for (const line of lines.filter((line) => !line.includes("“"))) assert.strictEqual(stringWidth(line), 40)
  })

  it("appends a line for each start and each end, numbered by task", () => {
    assert.deepStrictEqual(plainOf(story("look")), [
      "▸ prompt look",
      "  “look”",
      "  [1] ▸ task look: look",
      "    [1] “look”",
      "    [1] ▸ bash look",
      "    [1] ✖ bash look (look)  1.5 s",
      "  [1] ✔ task look: look  1,234 tokens  1.5 s",
      "✔ prompt look  1,234 tokens  1 min 01 s"
    ])
  })

  it("goes on with what a process had begun that ended, from when it is resumed", () => {
    const past = story("look").slice(0, 10)
    const at = (session: string, ms: number) => ({ session, at: ms, operationId: `op-${session}`, seq: 99 })
    const resumed: ReadonlyArray<AnyEvent> = [
      { _tag: "OperationResumed", ...at("main", 90_000), kind: "prompt", attempt: 2 },
      { _tag: "OperationResumed", ...at("kid", 90_000), kind: "prompt", attempt: 2 },
      // A call that may be run again is.
      { _tag: "ToolStarted", ...at("kid", 90_010), callId: "c", name: "bash" },
      ...story("look")
        .slice(10)
        .map((event) => ({ ...event, at: event.at + 89_000 }))
    ]
    let tree = grow(past)
    const lines: Array<string> = []
    for (const event of resumed) {
      tree = step(tree, event)
      lines.push(...plainLines(tree))
    }
    assert.deepStrictEqual(lines, [
      "▸ prompt look",
      "  [1] ▸ task look: look",
      "    [1] ✖ bash look (look)  1 min 30 s",
      "  [1] ✔ task look: look  1,234 tokens  541 ms",
      "✔ prompt look  1,234 tokens  1 min 00 s"
    ])
    assert.isTrue(treeLines(tree, { width: 60, colours: false, now: 0 }).every((line) => /✔|✖|“/.test(line)))
    assert.strictEqual(tree.roots.length, 1)
    assert.strictEqual(tree.counts.tasks, 1)
  })

  it("says how a call ended that never ran", () => {
    const events = story("look").slice(0, 9)
    const settled = { _tag: "ToolSettled", session: "kid", operationId: "op-kid", callId: "c", name: "bash" } as const
    const lines = plainOf([...events, { ...settled, at: 30, seq: 30, outcome: "not-run", result: "" }])
    assert.deepStrictEqual(lines.slice(-2), ["    [1] ▸ bash look", "    [1] ✖ bash look (not run)  0 ms"])
  })

  it("tells the exit code of a command", () => {
    const events = story("look").slice(0, 10)
    const settled = { _tag: "ToolSettled", session: "kid", operationId: "op-kid", callId: "c", name: "bash" } as const
    const end = { ...settled, at: 30, seq: 30, outcome: "success" as const, result: "x\n[Exit code 3.]" }
    assert.strictEqual(plainOf([...events, end]).at(-1), "    [1] ✔ bash look (exit code 3)  10 ms")
  })

  it("draws events of an operation whose start it has not seen", () => {
    for (let from = 1; from < 19; from++) {
      treeLines(grow(story("look").slice(from)), { width: 80, colours: false, now: 0 })
    }
  })

  it("sums up", () => {
    assert.strictEqual(
      summary(grow(story("look")), { estimated: true }),
      "1 min 01 s · 4 turns · 1 task · 1 tool call · 1,200 tokens in, 34 out (estimated)"
    )
  })

  it.scoped("is the tree of a real run", () =>
    Effect.gen(function* () {
      const queue = yield* (yield* Events).subscribe()
      const sessions = yield* Sessions.Sessions
      const session = yield* sessions.open({ id: "main", agent: Agent.make("a") })
      yield* session.prompt("go")
      const lines = plainOf([...(yield* Queue.takeAll(queue))])
      assert.deepStrictEqual(
        lines.map((line) => line.replace(/ {2}\d+ tokens? {2}0 ms$/, "")),
        ["▸ prompt go", "  [1] ▸ task one", "  [2] ▸ task two", "  [1] ✔ task one", "  [2] ✔ task two", "✔ prompt go"]
      )
    }).pipe(Effect.provide(engine))
  )
})

const engine = Layer.provide(
  Engine.layerMemory,
  Model.layerScripted([
    Script.on("go", Script.calls(Script.task("one"), Script.task("two")), "done"),
    Script.always({ before: Effect.yieldNow(), text: "ok" })
  ])
)

/** Text that means harm or is hard to measure. */
const nasty = fc
  .array(
    fc.oneof(
      fc.fullUnicodeString({ maxLength: 12 }),
      fc.string16bits({ maxLength: 4 }),
      fc.string({ maxLength: 30 }),
      fc.constantFrom(
        "\u001b[31m",
        "\u001b]0;title\u0007",
        "\u001b[2J",
        "\u009b31m",
        "\u001b",
        "\u001bP1$r\u001b\\",
        "\u202e",
        "\r\n",
        "\n",
        "\t",
        "\b\b",
        "日本語",
        "👩‍👩‍👧‍👦",
        "🇩🇪",
        "e\u0301\u0301",
        "한국",
        "क्षि",
        "\ufeff",
        "  - ",
        " "
      )
    ),
    { maxLength: 12 }
  )
  .map((parts) => parts.join(""))

const width = fc.integer({ min: 20, max: 140 })

// oxlint-disable-next-line no-control-regex -- They are what must not pass.
const control = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufeff]/

describe("lines", () => {
  it("are never wider than the terminal and hold no control sequence", () => {
    fc.assert(
      fc.property(
        nasty,
        width,
        fc.integer({ min: 0, max: 19 }),
        fc.integer({ min: 3, max: 30 }),
        (text, width, upTo, rows) => {
          const events = story(text).slice(0, upTo)
          const tree = grow(events)
          const view = { width, colours: false, now: 5_000 }
          const live = liveLines(tree, view, rows, true)
          assert.isAtMost(live.length, Math.max(rows, 11))
          for (const line of [...treeLines(tree, view), ...live, ...textLines(text, width)]) {
            assert.isAtMost(stringWidth(line), width, JSON.stringify(line))
            assert.notMatch(line, control, JSON.stringify(line))
          }
          for (const line of [...plainOf(events), ...textLines(text, Number.POSITIVE_INFINITY)]) {
            assert.notMatch(line, control, JSON.stringify(line))
          }
        }
      ),
      { numRuns: 500 }
    )
  })

  it("have no other control sequence than the colours of the tree", () => {
    fc.assert(
      fc.property(nasty, width, (text, width) => {
        for (const line of liveLines(grow(story(text)), { width, colours: true, now: 0 }, 40, false)) {
          // oxlint-disable-next-line no-control-regex -- These are the colours.
          assert.notMatch(line.replace(/\u001b\[(1|2|22|31|32|33|36|39)m/g, ""), control, JSON.stringify(line))
          assert.isAtMost(stringWidth(line), width)
        }
      }),
      { numRuns: 500 }
    )
  })

  it("keep the words of a text", () => {
    fc.assert(
      fc.property(
        fc.array(fc.stringMatching(/^[a-z]{1,15}$/), { minLength: 1, maxLength: 40 }),
        width,
        (words, width) => {
          assert.strictEqual(textLines(words.join(" "), width).join(" "), words.join(" "))
        }
      )
    )
    assert.deepStrictEqual(textLines("  - one two three four", 14), ["  - one two", "    three four"])
    assert.deepStrictEqual(textLines("", 20), [])
  })

  it("clean text stays as it is", () => {
    fc.assert(
      fc.property(nasty, (text) => {
        const once = clean(text)
        assert.strictEqual(clean(once), once)
        assert.notMatch(oneLine(text), /\s\s|\n/)
      })
    )
    assert.strictEqual(clean("\u001b[31mred\u001b[0m \u001b]8;;http://x\u0007link\u001b]8;;\u0007"), "red link")
  })

  it("of JSON are one line and bring the event back", () => {
    fc.assert(
      fc.property(nasty, (text) => {
        for (const event of story(text)) {
          const line = jsonLine(event)
          assert.notMatch(line, control)
          assert.deepStrictEqual(JSON.parse(line), JSON.parse(JSON.stringify(event)))
        }
      }),
      { numRuns: 200 }
    )
  })
})

describe("drawing", () => {
  const terminalOf = (written: Array<string>, closesAfter = Number.POSITIVE_INFINITY) =>
    Terminal.Terminal.of({
      columns: Effect.succeed(60),
      rows: Effect.succeed(20),
      isTTY: Effect.succeed(true),
      readInput: Effect.die("not read"),
      readLine: Effect.die("not read"),
      display: (text) =>
        Effect.suspend(() => {
          if (written.length >= closesAfter) return Effect.fail(closedOutput)
          written.push(text)
          return Effect.void
        })
    })

  const closedOutput = new SystemError({
    module: "Terminal",
    method: "display",
    reason: "WriteZero",
    description: "EPIPE"
  })

  /** Draws while an effect runs that has a queue to tell events by. */
  const drawn = <A, E>(
    written: Array<string>,
    format: "live" | "plain" | "json",
    effect: (queue: Queue.Queue<AnyEvent>) => Effect.Effect<A, E>,
    closesAfter?: number
  ) =>
    Effect.flatMap(Queue.unbounded<AnyEvent>(), (queue) =>
      Effect.provideService(
        drawing(queue, format, true, effect(queue)),
        Terminal.Terminal,
        terminalOf(written, closesAfter)
      )
    )

  const hide = "\u001b[?25l"
  const show = "\u001b[?25h"

  it.effect("repaints, leaves the whole tree, and gives the cursor back", () =>
    Effect.gen(function* () {
      const written: Array<string> = []
      const { exit } = yield* drawn(written, "live", (queue) =>
        Effect.gen(function* () {
          const [first, ...rest] = story("look")
          yield* Queue.offer(queue, first!)
          yield* TestClock.adjust(100)
          yield* Queue.offerAll(queue, rest)
          return 7
        })
      )
      assert.deepStrictEqual(exit, Exit.succeed(7))
      const all = written.join("")
      assert.isTrue(all.startsWith(hide) && all.endsWith(show))
      assert.include(stripVTControlCharacters(written.at(-1)!), "✖ bash look (look)")
    })
  )

  it.effect("draws an interruption and passes it on", () =>
    Effect.gen(function* () {
      const written: Array<string> = []
      const isRunning = yield* Deferred.make<void>()
      const [started, message] = story("look")
      const end: AnyEvent = {
        _tag: "OperationInterrupted",
        session: "main",
        operationId: "op-main",
        at: 40,
        seq: 3,
        kind: "prompt",
        by: "caller",
        usage
      }
      const fiber = yield* Effect.fork(
        drawn(written, "live", (queue) =>
          Queue.offerAll(queue, [started!, message!]).pipe(
            Effect.zipRight(Deferred.succeed(isRunning, undefined)),
            Effect.zipRight(Effect.never),
            Effect.onInterrupt(() => Queue.offer(queue, end))
          )
        )
      )
      yield* Deferred.await(isRunning)
      const exit = yield* Fiber.interrupt(fiber)
      assert.isTrue(Exit.isInterrupted(exit))
      assert.isTrue(written.join("").endsWith(show))
      assert.include(stripVTControlCharacters(written.at(-1)!), "■ prompt look")
    })
  )

  it.effect("ends what it draws when the output is closed", () =>
    Effect.gen(function* () {
      const { exit } = yield* drawn(
        [],
        "plain",
        (queue) => Effect.zipRight(Queue.offerAll(queue, story("look")), Effect.never),
        0
      )
      assert.deepStrictEqual(exit, Exit.fail(closedOutput))
    })
  )

  it.effect("writes every event as JSON, those of the last moment too", () =>
    Effect.gen(function* () {
      const written: Array<string> = []
      yield* drawn(written, "json", (queue) => Queue.offerAll(queue, story("look")))
      const lines = written.join("").trimEnd().split("\n")
      assert.deepStrictEqual(
        lines.map((line) => JSON.parse(line)),
        JSON.parse(JSON.stringify(story("look")))
      )
    })
  )
})
