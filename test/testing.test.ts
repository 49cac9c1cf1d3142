import { assert, it } from "@effect/vitest"
import { runPage } from "./support/page.js"

it("the program of docs/testing.md finds the bug, as it stands", async () => {
  const { lines, printed, text } = await runPage("docs/testing.md")
  assert.isBelow(lines, 22)
  // Which schedule shows it first, and by how much, depends on how many steps the engine takes.
  const figures = (it: unknown) => String(it).replace(/\d+/g, "N")
  assert.isDefined(text)
  assert.deepStrictEqual(
    printed.map((call) => call.map(figures)),
    [[figures(text)]]
  )
})
