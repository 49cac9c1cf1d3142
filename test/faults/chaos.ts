/**
 * Kills processes at random instants, and looks at what they left. Exits with 1 where something does not hold.
 *
 *     npm run test:chaos -- --kills 10000 --seed 7
 */
import { parseArgs } from "node:util"
import { Effect } from "effect"
import { round } from "./support/chaos.js"
import { sqlite } from "./support/matrix.js"

const { values } = parseArgs({ options: { kills: { type: "string", default: "200" }, seed: { type: "string" } } })
const kills = Number(values.kills)
const seed = Number(values.seed ?? Date.now() % 1_000_000)
process.stdout.write(`seed ${seed}\n`)

/** A database is left to itself after this many, so that no history grows without end. */
const perRound = 25

let done = 0
const tell = () => {
  if (++done % 50 === 0) process.stdout.write(`${done} of ${kills} kills\n`)
}
const rounds = Array.from({ length: Math.ceil(kills / perRound) }, (_, i) => ({
  seed: seed + i,
  kills: Math.min(perRound, kills - i * perRound)
}))
const began = performance.now()
const verdicts = await Effect.runPromise(
  Effect.forEach(rounds, (it) => round(sqlite, it.seed, it.kills, tell), { concurrency: 2 })
)
const all = (part: "lost" | "doubled" | "stuck") => verdicts.flatMap((it) => it[part])
for (const part of ["lost", "doubled", "stuck"] as const) {
  for (const it of all(part)) process.stdout.write(`WRONG  ${part}: ${it}\n`)
}
const acknowledged = verdicts.reduce((sum, it) => sum + it.acknowledged, 0)
const seconds = ((performance.now() - began) / 1000).toFixed(0)
process.stdout.write(
  `${done} kills in ${seconds} s, ${acknowledged} prompts acknowledged: ${all("lost").length} lost acknowledgements, ` +
    `${all("doubled").length} doubled effects, ${all("stuck").length} sessions that cannot go on\n`
)
process.exit(verdicts.every((it) => it.lost.length + it.doubled.length + it.stuck.length === 0) ? 0 : 1)
