/**
 * Plants each fault of mutants.mjs in a copy of the tree and runs the tests there that should catch it. Every fault must
 * be caught.
 *
 * `node test/mutants/run.mjs [word...]` runs only the faults whose name contains one of the words; with `--check` it only
 * makes sure that every patch applies and that the tests are there.
 */
import { spawn } from "node:child_process"
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { mutants } from "./mutants.mjs"

const root = fileURLToPath(new URL("../..", import.meta.url))
const cache = join(root, ".cache/mutants")
/** How many copies are tested at a time. */
const width = 2
/** How long the tests of one copy may take, in milliseconds; a fault that makes them hang is caught as well. */
const bound = 120_000
const env = {
  ...process.env,
  BATON_LAW_RUNS: process.env.BATON_LAW_RUNS ?? "300",
  BATON_LAW_SEED: process.env.BATON_LAW_SEED ?? "1"
}

const copyTree = (name) => {
  const dir = join(cache, name)
  rmSync(dir, { recursive: true, force: true })
  mkdirSync(dir, { recursive: true })
  for (const entry of ["src", "test", "package.json", "tsconfig.json", "vitest.config.ts"]) {
    cpSync(join(root, entry), join(dir, entry), { recursive: true })
  }
  symlinkSync(join(root, "node_modules"), join(dir, "node_modules"), "dir")
  return dir
}

/** What keeps a fault from being planted and looked for, if anything does. */
const obstacle = ({ file, find, name, tests }) => {
  const times = readFileSync(join(root, file), "utf8").split(find).length - 1
  if (times !== 1) return `"${name}" applies ${times} times to ${file}; it must apply once`
  const missing = tests.find((it) => !existsSync(join(root, it)))
  return missing === undefined ? undefined : `"${name}" is to be caught by ${missing}, which is not there`
}

const plant = (dir, { file, find, replace }) => {
  const path = join(dir, file)
  const source = readFileSync(path, "utf8")
  writeFileSync(
    path,
    source.replace(find, () => replace)
  )
}

/** Runs tests of a copy; gives the first failure, or `undefined` where all of them pass. */
const test = (dir, files, runs, within = bound) =>
  new Promise((resolve, reject) => {
    const report = join(dir, "report.json")
    const args = ["run", ...files, "--bail=1", "--testTimeout=5000", "--hookTimeout=1000", "--typecheck.enabled=false"]
    args.push("--minWorkers=1", "--maxWorkers=1", "--reporter=json", `--outputFile=${report}`)
    const child = spawn(process.execPath, [join(root, "node_modules/vitest/vitest.mjs"), ...args], {
      cwd: dir,
      detached: true,
      env: runs === undefined ? env : { ...env, BATON_LAW_RUNS: String(runs) },
      stdio: ["ignore", "pipe", "pipe"]
    })
    let output = ""
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk))
    let late = false
    const timer = setTimeout(() => {
      late = true
      process.kill(-child.pid, "SIGKILL")
    }, within)
    child.on("error", reject)
    child.on("close", (status) => {
      clearTimeout(timer)
      if (status === 0) return resolve(undefined)
      if (late) return resolve(`no end within ${within / 1000} s`)
      try {
        const { testResults } = JSON.parse(readFileSync(report, "utf8"))
        const failed = testResults
          .flatMap((suite) => suite.assertionResults)
          .find((result) => result.status === "failed")
        if (failed !== undefined) return resolve(failed.title)
      } catch {
        // There is no report where the run broke down; what it printed says why.
      }
      reject(new Error(`The tests did not run in ${dir}:\n${output.slice(-4000)}`))
    })
  })

const words = process.argv.slice(2)
const only = words.filter((word) => !word.startsWith("--"))
const isChosen = ({ name }) => only.length === 0 || only.some((word) => name.includes(word))
const chosen = mutants.map((mutant, index) => ({ ...mutant, index })).filter(isChosen)
const started = Date.now()
const seconds = () => `${Math.round((Date.now() - started) / 1000)} s`

// Every patch is tried before the first test runs.
const obstacles = chosen.map(obstacle).filter((it) => it !== undefined)
for (const it of obstacles) console.log(it)
if (obstacles.length > 0) process.exit(1)
if (words.includes("--check")) {
  console.log(`${chosen.length} faults can be planted`)
  process.exit(0)
}

console.log("The tests of the tree as it is ...")
const sound = copyTree("none")
const files = [...new Set(chosen.flatMap(({ tests }) => tests))]
const broken = await test(sound, files, undefined, files.length * bound)
if (broken !== undefined) {
  console.log(`They fail without any fault: ${broken}`)
  process.exit(1)
}
rmSync(sound, { recursive: true, force: true })
console.log(`They pass (${seconds()}). ${chosen.length} faults, ${width} at a time:`)

let caught = 0
let done = 0
const queue = [...chosen]
const work = async () => {
  for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
    const dir = copyTree(`${mutant.index + 1}`)
    plant(dir, mutant)
    const by = await test(dir, mutant.tests, mutant.runs)
    if (by !== undefined) caught++
    const outcome = by === undefined ? "SURVIVED" : `caught by "${by}"`
    console.log(`${++done}/${chosen.length} (${seconds()}) ${mutant.name}: ${outcome}`)
    if (by !== undefined) rmSync(dir, { recursive: true, force: true })
  }
}
await Promise.all(Array.from({ length: width }, work))
console.log(`${caught} caught, ${chosen.length - caught} survived`)
process.exitCode = caught === chosen.length ? 0 : 1
