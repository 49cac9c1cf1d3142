import { BaseSequencer, type TestSpecification } from "vitest/node"

/** The files that take longest; those that start processes first, since they wait while another core works. */
const longest = [
  "test/faults/faults.test.ts",
  "test/programs/cliSessions.test.ts",
  "test/programs/cliAgents.test.ts",
  "test/programs/cli.test.ts",
  "test/contracts/sandbox.test.ts",
  "test/programs/interrupt.test.ts",
  "test/layers/toolBounds.test.ts",
  "test/programs/policies.property.test.ts",
  "test/programs/events.property.test.ts",
  "test/programs/recovery.test.ts",
  "test/programs/requests.test.ts",
  "test/gate/gate.test.ts",
  "test/layers/escapes.test.ts",
  "test/layers/VirtualSandbox.test.ts",
  "test/laws/SessionLock.model.test.ts"
]

/** Runs the longest files first, so that no core is idle while the last one ends: a new clone has no times of its own. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const rank = ({ moduleId }: TestSpecification) => {
      const found = longest.findIndex((it) => moduleId.endsWith(`/${it}`))
      return found === -1 ? longest.length : found
    }
    // oxlint-disable-next-line unicorn/no-array-sort -- It is the method of a sequencer, not of an array.
    const usual = await super.sort(files)
    return usual.toSorted((a, b) => rank(a) - rank(b))
  }
}
