import { spawnSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { Cause, Exit, FiberId } from "effect"
import { Errors, type Event } from "effect-baton"
import { afterEach, assert, describe, it } from "vitest"
import { exitCode } from "../../src/programs/cli.js"
import { fromHere, hidePackages, type Options, type Run, run, slowCli } from "../support/cli.js"
import { commit, git, removeFolders, repository, temporary, write } from "../support/repositories.js"

/** The answer: what stands between the tree and the summary. */
const answerOf = ({ out }: Run): string => out.split("\n\n").slice(1, -1).join("\n\n")

// oxlint-disable-next-line no-control-regex -- They are what must not be there.
const control = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/
afterEach(removeFolders)

/** Everything under a folder with its content, to see that nothing was written. */
const snapshot = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.endsWith("/.baton"))
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted()
    .map((path) => `${path} ${readFileSync(path).toString("base64")}`)

describe("baton prompt", () => {
  it("inspects the diff of the last commit by two children at once", async () => {
    const folder = repository({
      "src/add.ts": "// Adds numbers.\nexport const add = 1\n",
      "test/add.test.ts": "it('adds')\n",
      "old name.txt": "the same\nold text\n"
    })
    git(folder, "mv", "old name.txt", "new ü\nname.txt")
    write(folder, {
      "src/add.ts": "// Adds numbers.\nexport const add = 2\n// TODO: subtract\n",
      "logo.png": Buffer.from([0, 1, 2, 3]),
      "\u001b[31m.md": "# A name that means harm\n"
    })
    commit(folder, "Add more, \u001b[31mand\u001b[0m a logo")
    const before = snapshot(folder)
    const done = await run(["prompt", "inspect the diff"], { cwd: folder })
    assert.strictEqual(done.err, "")
    assert.strictEqual(done.code, 0)
    assert.notMatch(done.out, control)
    assert.match(done.out, /^baton \d+\.\d+\.\d+ · model scripted \(embedded; no API key is set\)\n/)
    const answer = answerOf(done)
    const hash = git(folder, "rev-parse", "--short", "HEAD").trim()
    assert.include(answer, `Commit ${hash} "Add more, and a logo" by Ada Bell on `)
    assert.include(answer, "4 files changed, 3 insertions(+), 1 deletion(-)")
    assert.match(answer, /^ {2}M src\/add\.ts +\+2 -1$/m)
    assert.match(answer, /^ {2}A logo\.png +binary$/m)
    assert.match(answer, /^ {2}R old name\.txt -> "new \\303\\274\\nname\.txt" +\+0 -0$/m)
    assert.include(answer, "TODO at src/add.ts:3: // TODO: subtract")
    assert.match(answer, /^ {2}src\/add\.ts +3 lines, "Adds numbers\."$/m)
    assert.include(answer, "Named after it: test/add.test.ts.")
    assert.include(answer, "Worktree: nothing waits to be committed.")
    // Both tasks run before either ends.
    const lines = done.out.split("\n")
    const starts = lines.filter((line) => / {2}\[\d\] ▸ task /.test(line)).map((line) => lines.indexOf(line))
    const ends = lines.filter((line) => / {2}\[\d\] ✔ task /.test(line)).map((line) => lines.indexOf(line))
    assert.lengthOf(starts, 2)
    assert.lengthOf(ends, 2)
    assert.isBelow(Math.max(...starts), Math.min(...ends))
    assert.strictEqual(
      lines.filter((line) => line.includes("▸")).length,
      lines.filter((line) => line.includes("✔")).length
    )
    assert.deepStrictEqual(snapshot(folder), before)
  })

  it("prints events as JSON lines, with starts and ends paired", async () => {
    const folder = repository({ "a.txt": "a\n" })
    const done = await run(["prompt", "inspect the diff", "--json"], { cwd: folder })
    assert.strictEqual(done.code, 0)
    assert.match(done.err, /^baton .* model scripted/)
    const events = done.out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Event.Event)
    assert.strictEqual(events.at(-1)?._tag, "Idle")
    const open = new Map<string, string>()
    for (const event of events) {
      const owner = "operationId" in event ? `${event.session} ${event.operationId}` : ""
      if (event._tag === "OperationStarted") open.set(owner, "")
      else if (event._tag === "ToolStarted") open.set(`${owner} ${event.callId}`, owner)
      else if (event._tag === "TaskStarted") open.set(event.taskId, owner)
      else if (event._tag === "ToolSettled") assert.isTrue(open.delete(`${owner} ${event.callId}`))
      else if (event._tag === "TaskCompleted") assert.isTrue(open.delete(event.taskId))
      else if (event._tag === "OperationCompleted") {
        assert.notInclude([...open.values()], owner)
        assert.isTrue(open.delete(owner))
      }
    }
    assert.strictEqual(open.size, 0)
    assert.strictEqual(events.filter(({ _tag }) => _tag === "TaskStarted").length, 2)
    assert.isAbove(events.filter(({ _tag }) => _tag === "TextDelta").length, 10)
  })

  it("says that a folder is not in a repository, and looks at its files", async () => {
    const folder = temporary({
      "README.md": "# A title\n\nText.\n",
      "src/a.py": "x = 1  # FIXME\n",
      "src/b.py": "y = 2\n"
    })
    const done = await run(["prompt", "inspect the diff"], { cwd: folder })
    assert.strictEqual(done.code, 0)
    const answer = answerOf(done)
    assert.include(answer, "There is no diff: this folder is not in a git repository.")
    assert.include(answer, "Files: 3 files (2 Python, 1 documentation).")
    assert.match(answer, /^ {2}README\.md +3 lines, "A title"$/m)
    assert.include(answer, "src/a.py:1:")
  })

  it("answers anything else by saying what it is", async () => {
    const done = await run(["prompt", "hello"], {
      node: ["--import", hidePackages],
      env: { HIDDEN: "@effect/ai" }
    })
    assert.strictEqual(done.code, 0)
    assert.match(answerOf(done), /^I am the scripted model embedded in Baton.*ANTHROPIC_API_KEY or OPENAI_API_KEY/)
  })

  it("lets no control sequence of a model pass", async () => {
    const done = await run(["prompt", "evil"], { program: slowCli, cwd: temporary() })
    assert.strictEqual(done.code, 0)
    assert.notMatch(done.out, control)
    assert.strictEqual(answerOf(done), "evil answer")
    const json = await run(["prompt", "evil", "--json"], { program: slowCli, cwd: temporary() })
    assert.notMatch(json.out, control)
  })
})

/** Whether a process runs; one that has ended and was not waited for does not. */
const isAlive = (pid: string): boolean => {
  const { stdout } = spawnSync("ps", ["-o", "stat=", "-p", pid], { encoding: "utf8" })
  return stdout.trim() !== "" && !stdout.trim().startsWith("Z")
}

describe("interruption", () => {
  for (const signals of [["SIGINT"], ["SIGINT", "SIGINT", "SIGHUP"]] as const) {
    it(`by ${signals.join(", ")} ends the whole tree and exits 130`, async () => {
      const folder = temporary()
      const file = join(folder, "pid")
      const pids = () => (existsSync(file) ? (readFileSync(file, "utf8").match(/\d+(?=\n)/g) ?? []) : [])
      const done = await run(["prompt", "go"], {
        program: slowCli,
        cwd: folder,
        interrupt: { when: () => pids().length === 2, signals }
      })
      assert.strictEqual(done.code, 130)
      assert.strictEqual(done.err, "Interrupted.\n")
      assert.include(done.out, "    [1] ■ bash ")
      assert.include(done.out, "  [1] ■ task a long command")
      assert.match(done.out, /\n■ prompt go {2}.*\n$/)
      for (const pid of pids()) assert.isFalse(isAlive(pid), pid)
    })
  }
})

describe("usage and configuration", () => {
  const refused = async (args: ReadonlyArray<string>, says: RegExp, options?: Options) => {
    const done = await run(args, options)
    assert.match(done.err, says)
    assert.notMatch(done.err, control)
    assert.notInclude(done.err, "    at ")
    assert.strictEqual(done.code, 2)
  }

  it("refuses what it does not know with exit code 2", async () => {
    await refused(["prompt", "hi", "--nope"], /--nope/)
    await refused(["nope"], /subcommand/)
    await refused(["prompt"], /<text>/)
    await refused(["prompt", "hi", "--on-busy", "maybe"], /reject/)
    await refused(["prompt", "hi", "--cwd", "/no/such/folder"], /\/no\/such\/folder/)
  })

  it("refuses an empty prompt and a bad session name with exit code 2", async () => {
    await refused(["prompt", ""], /^Invalid input at input: it is empty\.\n$/)
    await refused(["prompt", "hi", "--session", "task:x"], /^Not a session id: /)
  })

  it("names the models that there are", async () => {
    await refused(
      ["prompt", "hi", "--model", "nope/x"],
      /^There is no model "nope\/x": it is anthropic\/<id>, openai\/<id>, compatible\/<id> or scripted\.\n$/
    )
    await refused(
      ["prompt", "hi", "--model", "openai/gpt-5"],
      /^The model openai\/gpt-5 needs OPENAI_API_KEY in the environment\.\n$/
    )
    await refused(
      ["prompt", "hi", "--fallback", "scripted", "--fallback", "openai/gpt-5"],
      /^The model openai\/gpt-5 needs OPENAI_API_KEY in the environment\.\n$/
    )
    await refused(["prompt", "hi", "--thinking", "hard"], /medium/)
    const env = { ANTHROPIC_API_KEY: "key", ANTHROPIC_BASE_URL: "nowhere" }
    await refused(["prompt", "hi"], /ANTHROPIC_BASE_URL is not an http or https address/, { env })
  })

  it("names the packages that are missing", { timeout: 90_000 }, async () => {
    await refused(["prompt", "hi"], /npm install "@effect\/ai@\^0\.37\.0" "@effect\/ai-anthropic@\^0\.27\.0"/, {
      env: { ANTHROPIC_API_KEY: "key", HIDDEN: "@effect/ai" },
      node: ["--import", hidePackages]
    })
    const packages = ["@effect/cli", "@effect/platform", "@effect/platform-node", "@effect/sql", "libsql"]
    for (const HIDDEN of ["@effect/cli", "@effect/platform"]) {
      const says = new RegExp(
        `^The executable needs packages .* npm install ${packages.map((it) => `.*"${it}@`).join("")}`
      )
      await refused(["prompt", "hi"], says, { env: { HIDDEN }, node: ["--import", hidePackages] })
    }
    for (const HIDDEN of ["@effect/sql", "libsql"]) {
      const says = new RegExp(`^The session store failed to open: it needs .*npm install .*"${HIDDEN}@`)
      await refused(["prompt", "hi"], says, { env: { HIDDEN }, node: ["--import", hidePackages], cwd: temporary() })
      const memory = await run(["prompt", "hi", "--store", "memory"], {
        env: { HIDDEN },
        node: ["--import", hidePackages]
      })
      assert.strictEqual(memory.code, 0)
    }
  })

  it("prints help and version", async () => {
    const help = await run(["prompt", "--help"])
    assert.strictEqual(help.code, 0)
    assert.notMatch(help.out, control)
    for (const option of [
      "--session",
      "--cwd",
      "--model",
      "--fallback",
      "--thinking",
      "--on-busy",
      "--json",
      "--store",
      "--operation-id",
      "ANTHROPIC_API_KEY",
      "SIGTERM",
      "EXIT CODES"
    ]) {
      assert.include(help.out, option)
    }
    const version = await run(["--version"])
    const { version: wanted } = JSON.parse(readFileSync(fromHere("../../package.json"), "utf8")) as { version: string }
    assert.strictEqual(version.out.trim(), wanted)
  })

  it("asks for the thinking level that was given, and tells what it may fall back on", async () => {
    const bodies: Array<unknown> = []
    const server = createServer((request, response) => {
      let text = ""
      request.on("data", (data: Buffer) => (text += data.toString()))
      request.on("end", () => {
        bodies.push(JSON.parse(text))
        response.writeHead(400, { "content-type": "application/json" }).end('{"error":{"message":"no"}}')
      })
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const { port } = server.address() as AddressInfo
    try {
      const args = [
        "--model",
        "openai/gpt-5",
        "--thinking",
        "high",
        "--fallback",
        "scripted",
        "--fallback",
        "openai/o3"
      ]
      const done = await run(["prompt", "hi", ...args], {
        env: { OPENAI_API_KEY: "key-2", OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1` }
      })
      assert.match(done.out, /^baton .* model openai\/gpt-5 \(as asked, at [\d.:]+\), else scripted, else openai\/o3\n/)
      assert.deepInclude(bodies[0], { model: "gpt-5", reasoning: { effort: "high", summary: "auto" } })
    } finally {
      server.close()
    }
  })

  it("asks the provider whose key is set, at the address that is set, and fails with 1", async () => {
    const asked: Array<string> = []
    const server = createServer((request, response) => {
      asked.push(`${request.url} ${request.headers["x-api-key"] ?? request.headers.authorization}`)
      response
        .writeHead(401, { "content-type": "application/json" })
        .end('{"type":"error","error":{"type":"authentication_error","message":"no"}}')
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const { port } = server.address() as AddressInfo
    try {
      const anthropic = await run(["prompt", "hi"], {
        env: { ANTHROPIC_API_KEY: "key-1", ANTHROPIC_BASE_URL: `http://127.0.0.1:${port}/` }
      })
      assert.match(
        anthropic.out,
        /^baton .* model anthropic\/\S+ \(because ANTHROPIC_API_KEY is set, at 127\.0\.0\.1:\d+\)\n/
      )
      assert.strictEqual(anthropic.code, 1)
      assert.match(anthropic.err, /refused the request \(HTTP 401\)/)
      const openai = await run(["prompt", "hi", "--model", "openai/some-id"], {
        env: { ANTHROPIC_API_KEY: "key-1", OPENAI_API_KEY: "key-2", OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1` }
      })
      assert.match(openai.out, /^baton .* model openai\/some-id \(as asked, at /)
      assert.strictEqual(openai.code, 1)
      assert.notInclude(anthropic.out + anthropic.err + openai.out + openai.err, "key-")
      assert.deepStrictEqual(asked, ["/v1/messages key-1", "/v1/responses Bearer key-2"])
    } finally {
      server.close()
    }
  })
})

describe("exit codes", () => {
  it("tell how it ended", () => {
    const busy = new Errors.SessionBusy({
      session: "main",
      requested: "prompt",
      running: "task",
      operationId: "1",
      since: 0
    })
    assert.strictEqual(exitCode(Exit.void), 0)
    assert.strictEqual(exitCode(Exit.fail(new Errors.LimitReached({ limit: "turns", value: 1 }))), 1)
    assert.strictEqual(exitCode(Exit.die(new Error("a defect"))), 1)
    assert.strictEqual(exitCode(Exit.fail(new Errors.ModelNotConfigured({ model: "x" }))), 2)
    assert.strictEqual(exitCode(Exit.fail(new Errors.SkillNotFound({ skill: "x", known: [] }))), 2)
    assert.strictEqual(exitCode(Exit.fail(new Errors.AgentNotFound({ agent: "x", known: [] }))), 2)
    const sandbox = (operation: "read" | "exec") => new Errors.SandboxError({ operation, path: "x", reason: "no" })
    assert.strictEqual(exitCode(Exit.fail(sandbox("read"))), 2)
    assert.strictEqual(exitCode(Exit.fail(sandbox("exec"))), 1)
    assert.strictEqual(exitCode(Exit.fail(busy)), 3)
    assert.strictEqual(exitCode(Exit.interrupt(FiberId.none)), 130)
    // What failed while others were interrupted for it has failed.
    assert.strictEqual(exitCode(Exit.failCause(Cause.parallel(Cause.fail(busy), Cause.interrupt(FiberId.none)))), 3)
  })
})
