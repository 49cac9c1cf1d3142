/**
 * What every sandbox holds to, as cases for whatever test runner you have: for those who write a sandbox of their own.
 *
 * ```ts
 * for (const { name, run } of SandboxContract.cases) {
 *   test(name, () => Effect.runPromise(run.pipe(Effect.provide(MySandbox.layer))))
 * }
 * ```
 *
 * The cases use the port alone, and no capability has to be declared. They expect a shell in which these work: base64,
 * bash -c, cat, chmod, echo, export, find, grep, head, ln, ls, mkdir, mv, printf, rm, sed, seq, sleep (of parts of a
 * second), sort, `stat -c %a`, touch, tr, uniq, wc; and that it can write to `/tmp`, which is not in the root.
 */
import { commands } from "./sandbox/commands.js"
import { containment } from "./sandbox/containment.js"
import type { Case } from "./sandbox/expect.js"
import { reading } from "./sandbox/reading.js"
import { writing } from "./sandbox/writing.js"

export { Broken, type Case } from "./sandbox/expect.js"

/**
 * The sentences of the contract. Each is to be run with a sandbox of its own whose root is empty, on the system's clock;
 * it fails with `Broken`, which says what the sandbox did and what it was to do. No case takes more than 2 seconds of
 * its own.
 */
export const cases: ReadonlyArray<Case> = [...reading, ...writing, ...containment, ...commands]
