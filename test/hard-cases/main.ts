/**
 * Runs the hard cases and prints what happens in each. Exits with 1 where one is not held.
 *
 *     npm run hard-cases
 */
import { Effect } from "effect"
import { cases, hold } from "./cases.js"

const width = Math.max(...cases.map(({ name }) => name.length))
let held = 0
for (const it of cases) {
  const { held: holds, name, took, what } = await Effect.runPromise(hold(it))
  if (holds) held++
  const time = `${took.toFixed(0)} ms`.padStart(9)
  process.stdout.write(`${holds ? "held    " : "NOT HELD"}  ${name.padEnd(width)}  ${time}  ${what}\n`)
}
process.stdout.write(`${held} of ${cases.length} cases held.\n`)
// What hangs would keep the process.
process.exit(held === cases.length ? 0 : 1)
