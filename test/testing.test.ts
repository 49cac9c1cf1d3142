import { mkdir, readFile, writeFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { assert, it, vi } from "@effect/vitest"

it("the program of docs/testing.md finds the bug, as it stands", async () => {
  const root = new URL("../", import.meta.url)
  const page = await readFile(new URL("docs/testing.md", root), "utf8")
  const block = /^```ts\n([\s\S]*?)^```$/m.exec(page)?.[1]
  const printed = /^```text\n([\s\S]*?)\n```$/m.exec(page)?.[1]
  assert.isDefined(block)
  const program = block!.split("\n").filter((line) => line !== "" && !line.startsWith("import "))
  assert.isBelow(program.length, 22)
  const folder = new URL(".cache/testing/", root)
  await mkdir(folder, { recursive: true })
  const file = new URL("program.ts", folder)
  await writeFile(file, block!)
  const log = vi.spyOn(console, "log").mockImplementation(() => {})
  try {
    await import(/* @vite-ignore */ fileURLToPath(file))
    // Which schedule shows it first, and by how much, depends on how many steps the engine takes.
    const figures = (text: string | undefined) => text?.replace(/\d+/g, "N")
    assert.deepStrictEqual(
      log.mock.calls.map(([text]) => figures(String(text))),
      [figures(printed)]
    )
  } finally {
    log.mockRestore()
  }
})
