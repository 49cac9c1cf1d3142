/**
 * What every store holds to, as cases for whatever test runner you have: for those who write a store of their own.
 *
 * ```ts
 * for (const { name, run } of StoreContract.cases) {
 *   test(name, () => Effect.runPromise(run.pipe(Effect.provide(MyStore.layer))))
 * }
 * ```
 */
import type { Case } from "./contract/expect.js"
import { forks } from "./contract/forks.js"
import { histories } from "./contract/histories.js"
import { inbox } from "./contract/inbox.js"
import { leases } from "./contract/leases.js"
import { measure } from "./contract/measure.js"
import { search } from "./contract/search.js"
import { sessions } from "./contract/sessions.js"

export { Broken, type Case, type Pass, Time } from "./contract/expect.js"

/**
 * The sentences of the contract. Each is to be run with a store of its own that holds nothing; it fails with `Broken`,
 * which says what the store did and what it was to do. A store that counts its leases by another clock than the system's
 * is given a `Time`.
 */
export const cases: ReadonlyArray<Case> = [
  ...sessions,
  ...histories,
  ...leases,
  ...inbox,
  ...forks,
  ...measure,
  ...search
]
