import { assert, it } from "@effect/vitest"
import { runPage } from "./support/page.js"

it("the README's program runs as it stands", async () => {
  const { lines, printed } = await runPage("README.md")
  assert.isBelow(lines, 20)
  assert.deepStrictEqual(printed, [['Found: {"id":176,"title":"Crash on start","open":true}']])
})
