/**
 * The first program of a page, run as it stands there.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { assert, vi } from "@effect/vitest"

const root = new URL("../../", import.meta.url)

export interface Page {
  /** Lines of the program that are neither blank nor imports. */
  readonly lines: number
  /** The first block of text on the page, where there is one. */
  readonly text: string | undefined
  /** What the program printed, by each call of `console.log`. */
  readonly printed: ReadonlyArray<ReadonlyArray<unknown>>
}

export const runPage = async (path: string): Promise<Page> => {
  const page = await readFile(new URL(path, root), "utf8")
  const block = /^```ts\n([\s\S]*?)^```$/m.exec(page)?.[1]
  assert.isDefined(block)
  // Within the repository, where its packages are found.
  const folder = new URL(`.cache/pages/${path}/`, root)
  await mkdir(folder, { recursive: true })
  const file = new URL("program.ts", folder)
  await writeFile(file, block!)
  const log = vi.spyOn(console, "log").mockImplementation(() => {})
  try {
    await import(/* @vite-ignore */ fileURLToPath(file))
    return {
      lines: block!.split("\n").filter((line) => line !== "" && !line.startsWith("import ")).length,
      text: /^```text\n([\s\S]*?)\n```$/m.exec(page)?.[1],
      printed: [...log.mock.calls]
    }
  } finally {
    log.mockRestore()
  }
}
