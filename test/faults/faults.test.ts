/**
 * The programs of the fault tests, each in its own process; `npm run test:faults` and `npm run test:chaos` run more.
 */
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { assert, beforeAll, describe, it } from "vitest"
import { describePostgres, host } from "../support/postgres.js"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** Runs a program to its end, and gives its last line. */
const run = (...args: ReadonlyArray<string>): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] })
    let said = ""
    const hear = (text: Buffer) => void (said += text.toString())
    child.stdout.on("data", hear)
    child.stderr.on("data", hear)
    child.on("close", (code) => {
      if (code === 0) resolve(said.trimEnd().split("\n").at(-1)!)
      else reject(new Error(said))
    })
  })

const matrix = async (...args: ReadonlyArray<string>) =>
  assert.match(await run(".cache/faults/main.mjs", ...args), /^(\d+)\/\1 \(100%\)$/)

const timeout = 600_000

beforeAll(async () => void (await run("test/faults/bundle.mjs")), timeout)

describe("faults", { timeout }, () => {
  it("a process that is killed at any point leaves what the next one goes on with", () => matrix("kills"))

  it("a store that fails at any call leaves what the next prompt goes on with", () =>
    matrix("actions", "--every", "17"))

  it("200 kills at random instants", async () => {
    assert.match(
      await run(".cache/faults/chaos.mjs", "--kills", "200"),
      /: 0 lost acknowledgements, 0 doubled effects, 0 sessions that cannot go on$/
    )
  })

  it("an owner that is frozen for twice its lease writes and does nothing any more, 50 times", () => matrix("zombies"))

  it("five processes prompt the same sessions", () => matrix("crowds"))

  it("a full disk", () => matrix("full"))
})

describePostgres("faults on Postgres", () => {
  it("a sample of the kills, and five processes", { timeout }, () =>
    matrix("--postgres", "--host", host, "kills", "crowds", "--every", "28")
  )
})
