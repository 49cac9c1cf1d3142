/**
 * A process of its own that makes one call of a built-in tool, and tells what it cost it:
 * `boundsChild.ts <root> <file to write to> <tool> <arguments> <how many times as fast time goes>`.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { Clock, Effect, Layer } from "effect"
import { BuiltinTools, NodeSandbox } from "effect-baton/node"
import { callIn } from "./toolCall.js"

const [root = "", report = "", name = "", args = "{}", pace = "1"] = process.argv.slice(2)

/** What was told, and the most that memory grew and that the event loop stood still meanwhile. */
export interface Cost {
  readonly text: string
  readonly failed: boolean
  /** In bytes. */
  readonly grown: number
  /** In milliseconds. */
  readonly blocked: number
  readonly taken: number
}

const tool = BuiltinTools.tools.find((it) => it.name === name)!

const call = (args: object) =>
  tool.handle(args, callIn(".")).pipe(
    Effect.map((value) => ({ text: String(value), failed: false })),
    Effect.catchAll(({ text }) => Effect.succeed({ text, failed: true }))
  )

/** Time that goes faster than the machine's, for limits that are long. */
const quick: Clock.Clock = {
  ...Clock.make(),
  unsafeCurrentTimeMillis: () => performance.now() * Number(pace),
  currentTimeMillis: Effect.sync(() => performance.now() * Number(pace))
}

const program = Effect.gen(function* () {
  // What is loaded and compiled once is there before anything is measured.
  const small = path.join(root, "small")
  fs.writeFileSync(small, "warm\n")
  for (let time = 0; time < 20; time++) {
    yield* call({
      path: "small",
      pattern: time % 2 === 0 ? "war." : "small",
      command: "echo warm",
      oldText: "-",
      newText: ""
    })
  }
  fs.rmSync(small)
  const before = process.memoryUsage.rss()
  let highest = before
  let last = performance.now()
  let blocked = 0
  const timer = setInterval(() => {
    const now = performance.now()
    blocked = Math.max(blocked, now - last - 10)
    last = now
    highest = Math.max(highest, process.memoryUsage.rss())
  }, 10)
  const started = performance.now()
  const told = yield* pace === "1" ? call(JSON.parse(args)) : Effect.withClock(call(JSON.parse(args)), quick)
  const taken = performance.now() - started
  blocked = Math.max(blocked, performance.now() - last - 10)
  clearInterval(timer)
  highest = Math.max(highest, process.memoryUsage.rss())
  const cost: Cost = { ...told, grown: highest - before, blocked, taken }
  fs.writeFileSync(report, JSON.stringify(cost))
})

await Effect.runPromise(Effect.provide(program, Layer.orDie(NodeSandbox.layer({ root, killGrace: 100 }))))
