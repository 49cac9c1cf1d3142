/**
 * What the built-in tools cost: a turn with one read, one grep and one edit over 20,000 files, through the whole engine,
 * beside the same three things done by hand with node:fs, and with ripgrep.
 *
 *     npm run bench:tools
 */
import { Agent, Engine, Model, Script, Sessions } from "effect-baton"
import { BuiltinTools, NodeSandbox } from "effect-baton/node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { rgPath } from "@vscode/ripgrep"
import { execFile } from "node:child_process"
import * as nodeFs from "node:fs"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { promisify } from "node:util"

const folders = 400
const filesInEach = 50
const rounds = 5

const root = nodeFs.realpathSync(nodeFs.mkdtempSync(path.join(tmpdir(), "baton-bench-")))

/** What is looked for: rare, and not a plain text. */
const pattern = "needle_(\\d+) = [a-z]+"
const target = "src/f007/file-07.ts"

// -------------------------------------------------------------------- the repository

/** Numbers from a seed, by mulberry32. */
const seeded = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
}

const words = "const let return await import export function type value error result index length path file".split(" ")

const build = (): void => {
  const next = seeded(7)
  const word = () => words[Math.floor(next() * words.length)]!
  for (let folder = 0; folder < folders; folder++) {
    const at = path.join(root, "src", `f${String(folder).padStart(3, "0")}`)
    nodeFs.mkdirSync(at, { recursive: true })
    for (let file = 0; file < filesInEach; file++) {
      const lines: Array<string> = []
      for (let size = 0; size < 2_000;) {
        const line = Array.from({ length: 4 + Math.floor(next() * 8) }, word).join(" ")
        lines.push(line)
        size += line.length + 1
      }
      if (next() < 1 / 500) lines[3] = `needle_${folder} = ${word()}`
      nodeFs.writeFileSync(path.join(at, `file-${String(file).padStart(2, "0")}.ts`), `${lines.join("\n")}\n`)
    }
  }
  nodeFs.writeFileSync(path.join(root, target), `${"x\n".repeat(100)}count = 0\n${"y\n".repeat(100)}`)
}

// -------------------------------------------------------------------- by hand

const readAndEdit = async (n: number): Promise<void> => {
  const file = path.join(root, target)
  if (!(await fs.readFile(file, "utf8")).includes("count")) throw new Error("the file does not hold what it should")
  const text = await fs.readFile(file, "utf8")
  await fs.writeFile(file, text.replace(`count = ${n}`, `count = ${n + 1}`))
}

const regex = new RegExp(pattern)

const matching = (file: string, text: string, found: Array<string>): void => {
  for (const [index, line] of text.split("\n").entries()) {
    if (regex.test(line)) found.push(`${file}:${index + 1}:${line}`)
  }
}

const byHand = async (): Promise<ReadonlyArray<string>> => {
  const found: Array<string> = []
  for (const entry of await fs.readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const file = path.join(entry.parentPath, entry.name)
    matching(path.relative(root, file), await fs.readFile(file, "utf8"), found)
  }
  return found
}

const byHandAtOnce = async (): Promise<ReadonlyArray<string>> => {
  const found: Array<string> = []
  const entries = (await fs.readdir(root, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())
  let next = 0
  const work = async (): Promise<void> => {
    for (let entry = entries[next++]; entry !== undefined; entry = entries[next++]) {
      const file = path.join(entry.parentPath, entry.name)
      matching(path.relative(root, file), await fs.readFile(file, "utf8"), found)
    }
  }
  await Promise.all(Array.from({ length: 16 }, work))
  return found
}

const byHandInSync = async (): Promise<ReadonlyArray<string>> => {
  const found: Array<string> = []
  for (const entry of nodeFs.readdirSync(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const file = path.join(entry.parentPath, entry.name)
    matching(path.relative(root, file), nodeFs.readFileSync(file, "utf8"), found)
  }
  return found
}

const run = promisify(execFile)

const byRipgrep = async (): Promise<ReadonlyArray<string>> => {
  const { stdout } = await run(rgPath, ["--no-config", "-n", "-e", pattern, "."], { cwd: root })
  return stdout.trimEnd().split("\n")
}

// -------------------------------------------------------------------- the engine

const prompts = (n: number) => `turn ${n}.`

const script: Script.Script = [
  Script.on(
    /turn \d+\./,
    ({ prompt }) => {
      const n = Number(/\d+/.exec(prompt)![0])
      return Script.calls(
        Script.call("read", { path: target }),
        Script.call("grep", { pattern }),
        Script.call("edit", { path: target, oldText: `count = ${n}`, newText: `count = ${n + 1}` })
      )
    },
    ({ results }) => {
      const failed = results.find((result) => result.isError)
      if (failed !== undefined || results.length !== 3) throw new Error(`a call failed: ${failed?.text ?? "not made"}`)
      return results[1]!.text
    }
  )
]

const engine = (ripgrep: string | false) => {
  const sandbox = NodeSandbox.layer({ root, ripgrep })
  const runtime = ManagedRuntime.make(
    Engine.layerMemory.pipe(
      Layer.provideMerge(Layer.merge(Layer.provideMerge(BuiltinTools.layer, sandbox), Model.layerScripted(script)))
    )
  )
  const agent = Agent.make("bench", { tools: BuiltinTools.tools, delegate: "off" })
  let opened = 0
  return {
    turn: (n: number) =>
      runtime.runPromise(
        Effect.gen(function* () {
          const sessions = yield* Sessions.Sessions
          const session = yield* sessions.open({ id: `s${opened++}`, agent })
          const reply = yield* session.prompt(prompts(n))
          return reply.text.split("\n")
        })
      ),
    close: () => runtime.dispose()
  }
}

// -------------------------------------------------------------------- rounds

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

const main = async (): Promise<void> => {
  build()
  const walking = engine(false)
  const searching = engine(rgPath)
  const variants: Readonly<Record<string, (n: number) => Promise<ReadonlyArray<string>>>> = {
    "by hand, node:fs": async (n) => (await readAndEdit(n), byHand()),
    "by hand, node:fs, 16 at once": async (n) => (await readAndEdit(n), byHandAtOnce()),
    "by hand, node:fs in sync": async (n) => (await readAndEdit(n), byHandInSync()),
    "by hand, ripgrep": async (n) => (await readAndEdit(n), byRipgrep()),
    "a turn, walking": walking.turn,
    "a turn, ripgrep": searching.turn
  }
  const names = Object.keys(variants)
  const taken = new Map(names.map((name) => [name, [] as Array<number>]))
  let n = 0
  let expected: number | undefined
  for (let round = -1; round < rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(round + 1 + turn) % names.length]!
      const started = performance.now()
      const found = await variants[name]!(n++)
      if (round >= 0) taken.get(name)!.push(performance.now() - started)
      expected ??= found.length
      if (found.length !== expected)
        throw new Error(`${name}: ${found.length} lines (${found[0]}) instead of ${expected}`)
    }
  }
  await walking.close()
  await searching.close()
  const time = (name: string) => median(taken.get(name)!)
  const ratio = (name: string, base: string) =>
    `${median(taken.get(name)!.map((value, index) => value / taken.get(base)![index]!)).toFixed(2)}x`
  console.log(
    `${folders * filesInEach} files, ${expected} matching lines, ${rounds} rounds, medians; node ${process.version}`
  )
  console.table(
    names.map((what) => ({
      what,
      time: `${time(what).toFixed(1)} ms`,
      "to node:fs": ratio(what, "by hand, node:fs"),
      "to ripgrep": ratio(what, "by hand, ripgrep")
    }))
  )
}

try {
  await main()
} finally {
  nodeFs.rmSync(root, { recursive: true, force: true })
}
