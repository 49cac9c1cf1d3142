/**
 * Many processes that prompt the same sessions.
 */
import { Effect } from "effect"
import type { Job } from "./job.js"
import { problems } from "../../support/recoveries.js"
import { snapshot } from "./checks.js"
import { crowd, type Done } from "./crowd.js"
import { startWith } from "./engine.js"
import { linesOf } from "./ledger.js"
import { type Backend, folder, work } from "./matrix.js"

export const hammered = Array.from({ length: 20 }, (_, i) => `h${i}`)

/** A session is looked for again soon. */
export const hammerLeases = { duration: 5_000, renewal: 1_500, poll: 40, attempts: 10 }

/** Lets processes prompt every session a few times each, and tells what is wrong then. */
export const hammer = (backend: Backend, processes: number, prompts: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      const it = yield* folder
      yield* backend.prepare(it)
      const ended = yield* Effect.forEach(
        Array.from({ length: processes }, (_, n) => n),
        (n) => work({ mode: "hammer", folder: it, name: `p${n}`, prompts, server: backend.server } satisfies Job),
        { concurrency: "unbounded" }
      )
      const wrong = ended.flatMap(({ code, err }) => (code === 0 ? [] : [`a process failed: ${err}`]))
      const acks = linesOf<Done>(it, "acks")
      const life = { folder: it, store: backend.layer(it), isFirst: false, leases: hammerLeases }
      const kept = yield* Effect.scoped(Effect.flatMap(startWith(life, crowd), ({ store }) => snapshot(store)))
      wrong.push(...problems(kept))
      let completed = 0
      for (const id of hammered) {
        const { entries = [] } = kept.get(id) ?? {}
        completed += entries.filter(
          (entry) => entry._tag === "OperationSettled" && entry.outcome === "completed"
        ).length
        for (const { from, session, text, to } of acks) {
          if (session !== id) continue
          const asked = entries.slice(from - 1, to).filter((entry) => entry._tag === "User")
          if (asked.length !== 1 || !JSON.stringify(asked).includes(`"${text}"`)) wrong.push(`${id}: ${text} is lost`)
        }
        // What one process asked of a session stands in the order in which it asked.
        for (let n = 0; n < processes; n++) {
          const own = acks.filter(({ session, text }) => session === id && text.includes(` p${n}-`))
          const sorted = own.toSorted((a, b) => a.from - b.from)
          if (own.some((ack, i) => ack !== sorted[i])) wrong.push(`${id}: the prompts of process ${n} are out of order`)
        }
      }
      const expected = processes * prompts * hammered.length
      if (acks.length !== expected) wrong.push(`${acks.length} of ${expected} prompts were acknowledged`)
      if (completed !== acks.length) wrong.push(`${completed} operations for ${acks.length} acknowledgements`)
      return [...wrong, ...backend.problems(it)]
    })
  )
