import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { cases, hold } from "./cases.js"

describe("the hard cases", () => {
  for (const hardCase of cases) {
    it.live(hardCase.name, () => Effect.map(hold(hardCase), ({ held, what }) => assert.isTrue(held, what)))
  }
})
