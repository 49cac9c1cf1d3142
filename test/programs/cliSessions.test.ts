/**
 * The executable's sessions, which outlive its processes.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Exit } from "effect"
import { Errors, type Event } from "effect-baton"
import Libsql from "libsql"
import { afterEach, assert, describe, it, vi } from "vitest"
import { exitCode } from "../../src/programs/cli.js"
import { Stopped } from "../../src/programs/stoppable.js"
import { bundled } from "../support/bundle.js"
import { type Options, run, slowCli } from "../support/cli.js"
import { isAlive } from "../support/folder.js"
import { git, removeFolders, repository, temporary } from "../support/repositories.js"

afterEach(removeFolders)

/** Some of these wait for a lease of ten seconds to run out. */
vi.setConfig({ testTimeout: 90_000 })

const slow = async (args: ReadonlyArray<string>, cwd: string, options: Options = {}) =>
  run(args, { program: await bundled(slowCli), cwd, ...options })

/** Runs a prompt until its model hangs, then sends signals. */
const cut = (cwd: string, signals: ReadonlyArray<NodeJS.Signals>, ...args: ReadonlyArray<string>) =>
  slow(["prompt", "hang", ...args], cwd, { env: { HANG: "1" }, interrupt: { when: () => hangs(cwd), signals } })

const hangs = (cwd: string): boolean => existsSync(join(cwd, "hanging"))

/** What a database holds, when nobody has it. */
const kept = (cwd: string, file = join(".baton", "sessions.db")) => {
  const db = new Libsql(join(cwd, file))
  try {
    const [integrity] = db.prepare("PRAGMA integrity_check").all() as ReadonlyArray<{ integrity_check: string }>
    assert.strictEqual(integrity?.integrity_check, "ok")
    const running = db.prepare("SELECT id, running_kind FROM baton_sessions WHERE running_id IS NOT NULL").all()
    const bodies = db.prepare("SELECT body FROM baton_entries ORDER BY place").all() as ReadonlyArray<{ body: string }>
    return { running, entries: bodies.map(({ body }) => JSON.parse(body) as { _tag: string; outcome?: string }) }
  } finally {
    db.close()
  }
}

const change = (cwd: string, sql: string): void => {
  const db = new Libsql(join(cwd, ".baton/sessions.db"))
  db.exec(sql)
  db.close()
}

const ends = (cwd: string) => kept(cwd).entries.flatMap((it) => (it._tag === "OperationSettled" ? [it.outcome] : []))

describe("the executable's store", () => {
  it("is a file of the folder, goes on with a session, and is nothing that git sees", async () => {
    const cwd = repository({ "a.txt": "a\n" })
    const none = await run(["sessions"], { cwd })
    assert.deepStrictEqual(none, { code: 0, out: "There are no sessions.\n", err: "" })
    assert.deepStrictEqual(await run(["resume"], { cwd }), { code: 0, out: "There is nothing to resume.\n", err: "" })
    assert.isFalse(existsSync(join(cwd, ".baton")), "looking makes nothing")
    const first = await run(["prompt", "inspect the diff"], { cwd })
    assert.strictEqual(first.code, 0)
    assert.include(first.out, "Worktree: nothing waits to be committed.")
    assert.strictEqual(readFileSync(join(cwd, ".baton/.gitignore"), "utf8"), "*\n")
    assert.strictEqual(git(cwd, "status", "--porcelain", "--ignored=no"), "")
    const second = await run(["prompt", "hello"], { cwd })
    assert.strictEqual(second.code, 0)
    assert.deepStrictEqual(ends(cwd).length, 4, "two prompts and two tasks")
    const other = await run(["prompt", "hello", "--session", "other ü"], { cwd })
    assert.strictEqual(other.code, 0)
    const { out } = await run(["sessions"], { cwd })
    assert.match(
      out,
      /^SESSION {2}AGENT {2}ENTRIES {2}LAST USED {2}STATE\nmain +baton +\d+ +\d+ s ago +at rest\nother ü +baton +4 +\d+ s ago +at rest\n$/
    )
    const json = await run(["sessions", "--json"], { cwd })
    const listed = json.out.trimEnd().split("\n")
    assert.deepInclude(JSON.parse(listed[1]!), { session: "other ü", agent: "baton", entries: 4, running: null })
  })

  it("is another file or none, as --store says, and a folder that is there stays as it is", async () => {
    const cwd = temporary()
    mkdirSync(join(cwd, ".baton"))
    assert.strictEqual((await run(["prompt", "hello"], { cwd })).code, 0)
    assert.isFalse(existsSync(join(cwd, ".baton/.gitignore")))
    const outside = temporary()
    assert.strictEqual((await run(["prompt", "hi", "--cwd", cwd, "--store", "x/y.db"], { cwd: outside })).code, 0)
    assert.strictEqual(kept(outside, "x/y.db").entries.length, 4)
    const fresh = await run(["prompt", "inspect the diff"], { cwd: temporary() })
    assert.include(fresh.out, "Files: none; the folder is empty")
    assert.notInclude(fresh.out, ".baton/", "what a conversation is kept in is not told to it")
    const empty = temporary()
    assert.strictEqual((await run(["prompt", "hi", "--store", "memory"], { cwd: empty })).code, 0)
    assert.isFalse(existsSync(join(empty, ".baton")))
  })

  it("that cannot be used is refused in a sentence, and left as it is", async () => {
    const refused = async (file: string, says: RegExp, cwd: string) => {
      const before = existsSync(file) ? readFileSync(file) : undefined
      for (const command of [["prompt", "hi"], ["sessions"]]) {
        const done = await run([...command, "--store", file], { cwd })
        assert.match(done.err, says)
        assert.strictEqual(done.err.split("\n").length, 2)
        assert.strictEqual(done.code, 2)
      }
      if (before !== undefined) assert.deepStrictEqual(readFileSync(file), before)
    }
    const cwd = temporary({ "text.db": "These are words and no database, as many as a page has. ".repeat(100) })
    assert.strictEqual((await run(["prompt", "hi"], { cwd })).code, 0)
    const file = join(cwd, ".baton/sessions.db")
    change(cwd, "UPDATE baton_format SET format = 99")
    await refused(file, /^The session store cannot be opened: it has format 99, and this version of Baton knows/, cwd)
    chmodSync(file, 0o400)
    await refused(file, /^The session store failed to open: .*sessions\.db is read-only\.\n$/, cwd)
    await refused(join(cwd, "text.db"), /text\.db is no SQLite database\.\n$/, cwd)
  })

  it("in a folder's place, or where nothing may be made, is refused in a sentence", async () => {
    const cwd = temporary()
    mkdirSync(join(cwd, "folder"))
    const folder = await run(["prompt", "hi", "--store", "folder"], { cwd })
    assert.match(folder.err, /^The session store failed to open: .*folder is a folder\.\n$/)
    assert.strictEqual(folder.code, 2)
    chmodSync(cwd, 0o555)
    // Nothing is forbidden to root.
    const as = process.getuid?.() === 0 ? { as: 65_534 } : {}
    const readOnly = await run(["prompt", "hi"], { cwd, ...as })
    assert.match(readOnly.err, /^The session store failed to open: .*\.baton cannot be made: this user may not write/)
    assert.strictEqual(readOnly.code, 2)
    chmodSync(cwd, 0o755)
    writeFileSync(join(cwd, ".baton"), "")
    const file = await run(["prompt", "hi"], { cwd })
    assert.match(file.err, /^The session store failed to open: .*lies in what is no folder\.\n$/)
    assert.strictEqual(file.code, 2)
  })
})

describe("what was cut off", () => {
  it("by SIGTERM is left, and goes on with the next prompt of the session", async () => {
    const cwd = temporary({ "AGENTS.md": "Be brief." })
    const stopped = await cut(cwd, ["SIGTERM"])
    assert.strictEqual(stopped.err, "Stopped. What was unfinished goes on with the next command on its session.\n")
    assert.strictEqual(stopped.code, 143)
    assert.match(stopped.out, /\n■ prompt hang {2}.*\n$/)
    assert.deepStrictEqual(ends(cwd), [])
    assert.deepStrictEqual(kept(cwd).running, [{ id: "main", running_kind: "prompt" }])
    assert.match((await run(["sessions"], { cwd })).out, / unfinished prompt\n$/)
    const next = await slow(["prompt", "again"], cwd)
    assert.strictEqual(next.err, "")
    assert.strictEqual(next.code, 0)
    const [, resuming, first, second] = next.out.split(/^(?=Resuming|▸ prompt)/m)
    assert.strictEqual(resuming, 'Resuming prompt "hang" of session "main", which was cut off (attempt 2).\n')
    assert.match(first!, /^▸ prompt hang\n✔ prompt hang {2}.*\n\nIt hangs no more\.\n\n/)
    assert.match(second!, /^▸ prompt again\n✔ prompt again {2}.*\n\nHere I am\.\n\n/)
    assert.deepStrictEqual(ends(cwd), ["completed", "completed"])
    assert.strictEqual((await slow(["resume"], cwd)).out.split("\n")[1], "There is nothing to resume.")
  })

  it("by SIGTERM in a task's command, with more signals after it, is resumed by its task", async () => {
    const cwd = temporary()
    const file = join(cwd, "pid")
    const pids = () => (existsSync(file) ? (readFileSync(file, "utf8").match(/\d+(?=\n)/g) ?? []) : [])
    const stopped = await slow(["prompt", "go"], cwd, {
      interrupt: { when: () => pids().length === 2, signals: ["SIGTERM"], again: ["SIGINT", "SIGTERM", "SIGHUP"] }
    })
    assert.strictEqual(stopped.code, 143)
    for (const pid of pids()) assert.isFalse(isAlive(Number(pid)), pid)
    assert.strictEqual(kept(cwd).running.length, 2)
    const resumed = await slow(["resume"], cwd)
    assert.strictEqual(resumed.code, 0)
    assert.include(resumed.out, 'Resuming prompt "go" of session "main", which was cut off (attempt 2).')
    assert.match(resumed.out, /^▸ prompt go$/m)
    assert.match(resumed.out, /^ {2}\[1\] ▸ task a long command$/m)
    assert.match(resumed.out, /^ {2}\[1\] ✔ task a long command/m)
    assert.match(resumed.out, /^✔ prompt go/m)
    assert.match(resumed.out, /\n\ndone\n\n/)
    assert.deepStrictEqual(kept(cwd).running, [])
    assert.strictEqual(kept(cwd).entries.filter((it) => it._tag === "TaskLink").length, 1)
  })

  it("by SIGINT has ended: there is nothing to resume, and a resumed one is interrupted in the same way", async () => {
    const cwd = temporary()
    const done = await slow(["prompt", "hang"], cwd, {
      env: { HANG: "1" },
      interrupt: { when: () => hangs(cwd), signals: ["SIGINT"], again: ["SIGTERM"] }
    })
    assert.strictEqual(done.err, "Interrupted.\n")
    assert.strictEqual(done.code, 130)
    assert.deepStrictEqual(ends(cwd), ["interrupted"])
    assert.strictEqual((await slow(["resume"], cwd)).out.split("\n")[1], "There is nothing to resume.")
    const other = temporary()
    await cut(other, ["SIGTERM"])
    const resumed = await slow(["resume"], other, {
      env: { HANG: "1" },
      interrupt: { when: () => kept(other).entries.at(-1)?._tag === "OperationResumed", signals: ["SIGINT"] }
    })
    assert.strictEqual(resumed.code, 130)
    assert.deepStrictEqual(ends(other), ["interrupted"])
  })

  it("in several sessions is resumed at once", async () => {
    const cwd = temporary()
    await cut(cwd, ["SIGTERM"], "--session", "one")
    rmSync(join(cwd, "hanging"))
    await cut(cwd, ["SIGTERM"], "--session", "two")
    const done = await slow(["resume"], cwd)
    assert.strictEqual(done.code, 0)
    assert.match(done.out, /\n\none:\nIt hangs no more\.\n\ntwo:\nIt hangs no more\.\n\n.*\n$/)
    assert.deepStrictEqual(ends(cwd), ["completed", "completed"])
  })

  it("and fails in the end is told, recorded, and followed by the next prompt", async () => {
    const cwd = temporary()
    const leave = () =>
      slow(["prompt", "hang, then fail"], cwd, {
        env: { HANG: "1" },
        interrupt: { when: () => hangs(cwd), signals: ["SIGTERM"] }
      })
    await leave()
    const said =
      'The resumed prompt of session "main" did not complete. The model "m" refused the request: it will not.\n'
    const resumed = await slow(["resume"], cwd)
    assert.strictEqual(resumed.err, said)
    assert.strictEqual(resumed.code, 1)
    rmSync(join(cwd, "hanging"))
    await leave()
    const next = await slow(["prompt", "again"], cwd)
    assert.strictEqual(next.err, said)
    assert.strictEqual(next.code, 0)
    assert.include(next.out, "Here I am.")
    assert.deepStrictEqual(ends(cwd), ["failed", "failed", "completed"])
  })

  it("by SIGTERM once more is left once more", async () => {
    const cwd = temporary()
    await cut(cwd, ["SIGTERM"])
    for (const command of [["resume"], ["prompt", "again"]]) {
      const before = kept(cwd).entries.length
      const stopped = await slow(command, cwd, {
        env: { HANG: "1" },
        interrupt: { when: () => kept(cwd).entries.length > before, signals: ["SIGTERM"] }
      })
      assert.strictEqual(stopped.err, "Stopped. What was unfinished goes on with the next command on its session.\n")
      assert.strictEqual(stopped.code, 143)
      assert.match(stopped.out, /\n■ prompt hang {2}.*\n$/)
    }
    assert.deepStrictEqual(ends(cwd), [])
    const done = await slow(["resume"], cwd)
    assert.include(done.out, "which was cut off (attempt 4)")
    assert.deepStrictEqual(ends(cwd), ["completed"])
  })

  it("by SIGKILL is resumed when the dead process's lease has run out", async () => {
    const cwd = temporary()
    const killed = await cut(cwd, ["SIGKILL"])
    assert.isNull(killed.code)
    assert.match((await run(["sessions"], { cwd })).out, / unfinished prompt\n$/)
    const resumed = await slow(["resume", "--session", "main", "--json"], cwd)
    assert.strictEqual(resumed.code, 0)
    assert.match(
      resumed.err,
      /^baton .*\nThe process that held session "main" has gone\. Its hold ends within seconds\.\nResuming prompt "hang" of session "main", which was cut off \(attempt 2\)\.\n$/
    )
    const events = resumed.out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Event.Event)
    assert.deepInclude(events[0], { _tag: "OperationResumed", session: "main", attempt: 2 })
    assert.deepStrictEqual(
      events.flatMap(({ _tag }) => (_tag === "OperationCompleted" ? [_tag] : [])),
      ["OperationCompleted"]
    )
    assert.deepStrictEqual(ends(cwd), ["completed"])
  })

  it("of another agent is told and left, and a session that is not there is refused", async () => {
    const cwd = temporary()
    await cut(cwd, ["SIGTERM"])
    change(cwd, "UPDATE baton_sessions SET agent = 'triage'")
    const done = await slow(["resume"], cwd)
    assert.strictEqual(done.code, 0)
    assert.include(done.out, 'Session "main" is unfinished and of agent "triage", which this command does not know')
    assert.include(done.out, "There is nothing to resume.")
    assert.deepStrictEqual(ends(cwd), [])
    const nope = await slow(["resume", "--session", "nope"], cwd)
    assert.strictEqual(nope.err, 'There is no session "nope".\n')
    assert.strictEqual(nope.code, 2)
  })
})

describe("two processes", () => {
  it("the second is refused with the name of the first, or waits for its end", async () => {
    const cwd = temporary()
    let isOver = false
    const first = slow(["prompt", "hang"], cwd, {
      env: { HANG: "1" },
      interrupt: { when: () => isOver, signals: ["SIGINT"] }
    })
    await vi.waitUntil(() => hangs(cwd), { timeout: 20_000 })
    const [refused, resume, sessions] = await Promise.all([
      slow(["prompt", "again"], cwd),
      slow(["resume", "--session", "main"], cwd),
      run(["sessions"], { cwd })
    ])
    for (const done of [refused, resume]) {
      assert.match(done.err, /^Session "main" is already running prompt in another process \(.+:\d+:.+\)\. /)
      assert.strictEqual(done.code, 3)
    }
    assert.match(sessions.out, / running prompt in \S+:\d+\n$/)
    let isWaiting = false
    const waiting = slow(["prompt", "again", "--on-busy", "wait"], cwd, {
      onOut: (out) => (isWaiting = out.includes("waiting."))
    })
    const all = await slow(["resume"], cwd)
    assert.strictEqual(all.code, 0)
    assert.match(all.out, /in another process .*\nThere is nothing to resume\.\n$/)
    await vi.waitUntil(() => isWaiting, { timeout: 20_000 })
    isOver = true
    assert.strictEqual((await first).code, 130)
    const waited = await waiting
    assert.strictEqual(waited.code, 0)
    assert.match(waited.out, /^Session "main" is held by another process \(.*\): waiting\.$/m)
    assert.match(waited.out, /\nHere I am\.\n/)
    assert.deepStrictEqual(ends(cwd), ["interrupted", "completed"])
  })
})

describe("a prompt with an operation id", () => {
  it("is run once, however often it is asked for, and goes on where it was cut off", async () => {
    const cwd = temporary()
    assert.strictEqual((await cut(cwd, ["SIGTERM"], "--operation-id", "one")).code, 143)
    const next = await slow(["prompt", "hang", "--operation-id", "one"], cwd)
    assert.strictEqual(next.code, 0)
    assert.strictEqual(next.out.match(/It hangs no more\./g)?.length, 1)
    assert.match(next.out, /which was cut off \(attempt 2\)/)
    const again = await slow(["prompt", "hang", "--operation-id", "one"], cwd)
    assert.strictEqual(again.code, 0)
    assert.notInclude(again.out, "▸")
    assert.match(again.out, /\nIt hangs no more\.\n\nIt was run before: this is what it brought\.\n$/)
    const conflict = await slow(["prompt", "again", "--operation-id", "one"], cwd)
    assert.strictEqual(conflict.err, 'Operation "one" of session "main" was started with another input.\n')
    assert.strictEqual(conflict.code, 1)
    assert.deepStrictEqual(ends(cwd), ["completed"])
  })
})

describe("exit codes", () => {
  it("tell a store that cannot be opened from one that failed later", () => {
    const failed = (operation: string) => new Errors.SessionStoreError({ operation, reason: "x" })
    assert.strictEqual(exitCode(Exit.fail(failed("open"))), 2)
    assert.strictEqual(exitCode(Exit.fail(failed("write"))), 1)
    assert.strictEqual(exitCode(Exit.fail(new Errors.UnsupportedFormat({ found: 9, supported: 2, reason: "x" }))), 2)
    assert.strictEqual(exitCode(Exit.fail(new Stopped({ isKept: true }))), 143)
  })
})
