import { mkdir, readFile, writeFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { assert, it, vi } from "@effect/vitest"

it("the README's program runs as it stands", async () => {
  const root = new URL("../", import.meta.url)
  const readme = await readFile(new URL("README.md", root), "utf8")
  const block = /^```ts\n([\s\S]*?)^```$/m.exec(readme)?.[1]
  assert.isDefined(block)
  const program = block!.split("\n").filter((line) => line !== "" && !line.startsWith("import "))
  assert.isBelow(program.length, 20)
  const folder = new URL(".cache/readme/", root)
  await mkdir(folder, { recursive: true })
  const file = new URL("program.ts", folder)
  await writeFile(file, block!)
  const log = vi.spyOn(console, "log").mockImplementation(() => {})
  try {
    await import(/* @vite-ignore */ fileURLToPath(file))
    assert.deepStrictEqual(log.mock.calls, [['Found: {"id":176,"title":"Crash on start","open":true}']])
  } finally {
    log.mockRestore()
  }
})
