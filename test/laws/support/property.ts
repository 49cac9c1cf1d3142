/**
 * How the properties of the laws are run: in slices, so that a long run never blocks the test runner's own messages.
 */
import { Effect, FastCheck as fc } from "effect"

/** How many programs the great property tries; the other properties try a share of them. */
export const runs = Math.max(1, Number(process.env["BATON_LAW_RUNS"] ?? 10_000))

/**
 * Set it to the `seed` that a failure prints to replay that failure: every property then starts from it. A failure of
 * the random programs prints the seed of its interleaving as well, which with the program is all that `check` needs.
 */
const fixedSeed = process.env["BATON_LAW_SEED"]

/** The time limit of a test that runs a property, in milliseconds; none where more programs than usual are asked for. */
export const timeout = runs > 10_000 ? 0 : 120_000

const slice = 500

/** Checks a property on `count` samples and fails with its shrunk counterexample. The check says what is wrong, if anything. */
export const forAll = <A>(
  arbitrary: fc.Arbitrary<A>,
  count: number,
  check: (sample: A) => string | undefined
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const first = fixedSeed === undefined ? (Math.random() * 0x7fffffff) | 0 : Number(fixedSeed)
    const property = fc.property(arbitrary, (sample) => {
      const wrong = check(sample)
      if (wrong !== undefined) throw new Error(wrong)
    })
    for (let done = 0; done < count; done += slice) {
      fc.assert(property, { numRuns: Math.min(slice, count - done), seed: (first + done) | 0 })
      yield* Effect.promise(() => new Promise<void>((resume) => setImmediate(resume)))
    }
  })
