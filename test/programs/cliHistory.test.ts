/**
 * What the executable does with the histories of sessions.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { stripVTControlCharacters } from "node:util"
import { Effect } from "effect"
import { SessionStore } from "effect-baton"
import Libsql from "libsql"
import { afterEach, assert, describe, it, vi } from "vitest"
import * as CliEngine from "../../src/layers/CliEngine.js"
import { bytesOf, millisOf, sizeOf } from "../../src/programs/amounts.js"
import { atRest } from "../../src/programs/cli/stored.js"
import { columns } from "../../src/programs/columns.js"
import { label } from "../../src/programs/labels.js"
import { bundled } from "../support/bundle.js"
import { type Options, run, slowCli } from "../support/cli.js"
import { runHere, type Screen } from "../support/cliHere.js"
import { removeFolders, temporary } from "../support/repositories.js"

afterEach(removeFolders)

vi.setConfig({ testTimeout: 60_000 })

const slow = async (args: ReadonlyArray<string>, cwd: string, options: Options = {}) =>
  run(args, { program: await bundled(slowCli), cwd, ...options })

/** Runs a command that has nothing to say against it. */
const good = async (args: ReadonlyArray<string>, cwd: string, options: Options = {}): Promise<string> => {
  const { code, err, out } = await slow(args, cwd, options)
  assert.deepStrictEqual({ code, err }, { code: 0, err: "" }, args.join(" "))
  return out
}

const here = (cwd: string, ...args: ReadonlyArray<string>) => runHere([...args, "--cwd", cwd])

/** The same for a command that has nothing to say against it. */
const did = async (cwd: string, ...args: ReadonlyArray<string>): Promise<string> => {
  const { code, err, out } = await here(cwd, ...args)
  assert.deepStrictEqual({ code, err }, { code: 0, err: "" }, args.join(" "))
  return out
}

const onScreen = (cwd: string, screen: Screen, ...args: ReadonlyArray<string>) =>
  runHere([...args, "--cwd", cwd], screen)

const lines = (text: string): ReadonlyArray<string> => text.split("\n").slice(0, -1)
const json = (text: string) => lines(text).map((line) => JSON.parse(line) as Record<string, unknown>)

/** All that a database holds of sessions and entries. */
const kept = (cwd: string) => {
  const db = new Libsql(join(cwd, ".baton/sessions.db"))
  try {
    const sessions = db.prepare("SELECT id, next_seq, running_kind FROM baton_sessions ORDER BY id").all()
    const entries = db.prepare("SELECT body FROM baton_entries ORDER BY place").all()
    return { sessions, entries }
  } finally {
    db.close()
  }
}

describe("histories on the command line", () => {
  it("are drawn, named, moved in, forked, searched, told, compacted, taken elsewhere and removed", async () => {
    const cwd = temporary()
    await good(["prompt", "again, of otters"], cwd)
    await good(["prompt", "evil badgers"], cwd)
    assert.match(
      await good(["tree"], cwd),
      /^main {2}baton · 11 entries\n├─ 1 ✔ prompt again, of otters\n└─ 5 ✔ prompt evil badgers \(1 call\) {2}◀ head\n$/
    )
    const named = await did(cwd, "label", "first answer", "--at", "4")
    assert.strictEqual(named, 'Entry 4 of session "main" is named "first answer".\n')
    const back = await good(["rewind"], cwd)
    assert.strictEqual(back, 'Session "main" goes on from entry 4. It was asked there:\n\nevil badgers\n')
    const there = await did(cwd, "move", "first answer")
    assert.strictEqual(there, 'Session "main" goes on from entry 4, as it did before.\n')
    assert.strictEqual(await did(cwd, "move", "start"), 'Session "main" goes on from before its first entry.\n')
    assert.deepStrictEqual(json(await did(cwd, "move", "11", "--json")), [
      { session: "main", from: null, to: 11, entry: 15 }
    ])
    assert.deepStrictEqual(json(await did(cwd, "rewind", "--steps", "2", "--json")), [
      { session: "main", from: 11, to: null, entry: 16, input: [{ type: "text", text: "again, of otters" }] }
    ])
    const forked = await did(cwd, "fork", "second", "--at", "first answer")
    assert.strictEqual(forked, 'Session "second" goes on from entry 4 of "main".\n')
    assert.deepStrictEqual(json(await did(cwd, "fork", "third", "--json")), [
      { session: "third", from: "main", entry: 16 }
    ])
    assert.deepStrictEqual(json(await did(cwd, "label", "all", "--session", "second", "--json")), [
      { session: "second", label: "all", entry: 4 }
    ])
    assert.deepInclude(json(await did(cwd, "remove", "third", "--json"))[0], { session: "third", sessions: ["third"] })

    const [found, transcript, tree, exported] = await Promise.all([
      good(["search", "OTTERS"], cwd),
      did(cwd, "transcript"),
      did(cwd, "tree", "--json"),
      did(cwd, "export", "--session", "second")
    ])
    assert.match(found, /^SESSION {2}ENTRY {2}WHEN +TEXT\nmain +2 +\d+ s ago {2}again, of otters\n$/)
    // Its head is before the first entry.
    assert.notInclude(transcript, "otters")
    assert.include(await did(cwd, "transcript", "--session", "second", "--tasks", "off"), "again, of otters")
    assert.deepInclude(json(tree)[0], { session: "main", entries: 16, head: null })
    assert.deepInclude(json(exported)[0]!.session, { id: "second", origin: { session: "main", entry: 4 } })
    assert.lengthOf(json(exported), 7)
    assert.deepInclude(json(await did(cwd, "search", "otters", "--json"))[0], { session: "main", entry: 2 })

    const small = await here(cwd, "compact", "--session", "second")
    assert.match(small.out, /^baton .*\n▸ compact\n✔ compact {2}.*\n\nThere is nothing to compact\.\n\n/)
    await did(cwd, "prompt", `again ${"and ".repeat(12_000)}`, "--session", "second")
    await did(cwd, "prompt", `again ${"but ".repeat(6_000)}`, "--session", "second")
    const compacted = await slow(["compact", "--session", "second", "--instructions", "Be brief.", "--json"], cwd)
    assert.strictEqual(compacted.code, 0)
    const last = json(compacted.out).at(-1)!
    assert.strictEqual(last._tag, "Compacted")
    assert.isBelow(Number(last.tokensAfter), Number(last.tokensBefore))
    const again = await here(cwd, "compact", "--session", "second")
    assert.match(again.out, /\n\n([\d,]+ -> [\d,]+ tokens|There is nothing to compact\.)\n\n/)

    assert.strictEqual(
      await did(cwd, "label", "first answer", "--remove"),
      'No entry of session "main" is named "first answer".\n'
    )
    assert.match(
      await did(cwd, "prune", "--max-sessions", "1", "--dry-run"),
      /^SESSION {2}LAST USED +ENTRIES {2}SIZE +WHY\nsecond +\d+ s ago +\d+ +[\d.]+ kB {2}more than 1 session\n1 session would be removed \(\d+ entries, [\d.]+ kB\); 1 session, [\d.]+ kB, would stay\.\n$/
    )
    const would = json(await did(cwd, "prune", "--max-sessions", "1", "--max-bytes", "500MB", "--dry-run", "--json"))
    assert.deepStrictEqual(
      would.map(({ _tag, dryRun, reason, session }) => ({ _tag, dryRun, reason, session })),
      [
        { _tag: "Removed", dryRun: true, reason: "count", session: "second" },
        { _tag: "Left", dryRun: undefined, reason: undefined, session: undefined }
      ]
    )
    assert.match(await did(cwd, "remove", "second"), /^Session "second" is removed: \d+ entries, [\d.]+ kB\.\n$/)
    assert.match(
      await did(cwd, "prune", "--older-than", "0s"),
      /^SESSION .*\nmain .* older than 0s\n1 session was removed \(17 entries, [\d.]+ kB\); 0 sessions, 0 B, stayed\.\n$/
    )
    assert.strictEqual(await did(cwd, "sessions"), "There are no sessions.\n")
  })

  it("are refused what is wrong in a sentence, and nothing is written", async () => {
    const cwd = temporary()
    const outside = temporary({ "there.ndjson": "mine\n", "bad.ndjson": "{}\n", "words.txt": "no JSON\n" })
    assert.strictEqual((await here(cwd, "prompt", "hello")).code, 0)
    assert.strictEqual((await here(cwd, "label", "x")).code, 0)
    const before = kept(cwd)
    const wrong: ReadonlyArray<readonly [code: number, says: RegExp, ...args: ReadonlyArray<string>]> = [
      [2, /^There is no session "nope"\.\n$/, "tree", "--session", "nope"],
      [2, /^There is no session "nope"\.\n$/, "transcript", "--session", "nope"],
      [2, /^There is no session "nope"\.\n$/, "export", "--session", "nope", "--out", join(outside, "new.ndjson")],
      [2, /^There is no session "nope"\.\n$/, "search", "x", "--session", "nope"],
      [2, /^There is no session "nope"\.\n$/, "label", "y", "--session", "nope"],
      [2, /^There is no session "nope"\.\n$/, "move", "1", "--session", "nope"],
      [2, /^There is no session "nope"\.\n$/, "rewind", "--session", "nope"],
      [2, /^There is no session "nope"\.\n$/, "fork", "y", "--session", "nope"],
      [2, /^There is no session "nope"\.\n$/, "compact", "--session", "nope"],
      [2, /^There is no session "nope"\.\n$/, "remove", "nope"],
      [2, /^Session "main" has no entry 99\.\n$/, "move", "99"],
      [2, /^No entry of session "main" is named "y"\.\n$/, "move", "y"],
      [2, /^Session "main" has no entry 0\.\n$/, "fork", "y", "--at", "0"],
      [2, /^No entry of session "main" is named "start"\.\n$/, "fork", "y", "--at", "start"],
      [2, /^Session "main" exists already\.\n$/, "fork", "main"],
      [2, /^Not a session id: it is empty\.\n$/, "fork", ""],
      [2, /^Invalid input at label: it is a number/, "label", "12"],
      [2, /^Invalid input at label: "start" is/, "label", "start"],
      [2, /^Session "main" has no entry 99\.\n$/, "label", "y", "--at", "99"],
      [2, /^Invalid input at entry: /, "label", "y", "--at", "1", "--remove"],
      [2, /^Invalid input at steps: there is only 1 to go back\.\n$/, "rewind", "--steps", "2"],
      [2, /^Invalid input at steps: /, "rewind", "--steps", "0"],
      [2, /integer/, "rewind", "--steps", "1.5"],
      [2, /^Invalid input at depth: /, "tree", "--depth=-1"],
      [2, /^Invalid input at limit: /, "search", "x", "--limit", "0"],
      [2, /^Invalid input at text: it has no words\.\n$/, "search", "?!"],
      [2, /^Invalid input at the limits: say what is to go by --older-than/, "prune"],
      [2, /^Invalid input at older-than: it is no time such as/, "prune", "--older-than", "soon"],
      [2, /^Invalid input at older-than: it is no time such as/, "prune", "--older-than", "30"],
      [2, /^Invalid input at max-bytes: it is no size such as/, "prune", "--max-bytes", "big"],
      [2, /^Invalid input at max-sessions: /, "prune", "--max-sessions=-1"],
      [2, /there\.ndjson cannot be made: it is there already/, "export", "--out", join(outside, "there.ndjson")],
      [2, /cannot be made: its folder is not there\.\n$/, "export", "--out", join(outside, "no", "new.ndjson")],
      [2, /cannot be read: it is not there\.\n$/, "import", join(outside, "no.ndjson")],
      [2, /cannot be read: it is a folder/, "import", outside],
      [
        2,
        /^Line 1 of the export cannot be taken: an export begins with a session\.\n$/,
        "import",
        join(outside, "bad.ndjson")
      ],
      [2, /^Line 1 of the export cannot be taken: it is no JSON\.\n$/, "import", join(outside, "words.txt")],
      [2, /^Line 1 of the export cannot be taken: there is no session\.\n$/, "import", "-"]
    ]
    for (const [code, says, ...args] of wrong) {
      const done = await here(cwd, ...args)
      assert.match(done.err, says, args.join(" "))
      assert.strictEqual(done.code, code, args.join(" "))
    }
    assert.deepStrictEqual(kept(cwd), before)
    assert.strictEqual(readFileSync(join(outside, "there.ndjson"), "utf8"), "mine\n")
    assert.isFalse(existsSync(join(outside, "new.ndjson")))
  })

  it("that cannot be read to the end leave no file", async () => {
    const cwd = temporary()
    assert.strictEqual((await here(cwd, "prompt", "hello")).code, 0)
    const db = new Libsql(join(cwd, ".baton/sessions.db"))
    db.exec("UPDATE baton_entries SET body = '{}' WHERE body LIKE '%Assistant%'")
    db.close()
    const out = join(cwd, "main.ndjson")
    const done = await here(cwd, "export", "--out", out)
    assert.match(done.err, /^Entry 3 of session "main" cannot be read: /)
    assert.strictEqual(done.code, 1)
    assert.isFalse(existsSync(out))
  })

  it("are not written to where something is left unfinished in the last moment, and go on with nothing", () =>
    Effect.gen(function* () {
      const store = yield* SessionStore.SessionStore
      const session = {
        id: "s",
        agent: "a",
        cwd: ".",
        incarnation: "i",
        createdAt: 0,
        origin: null,
        parent: null,
        depth: 0
      }
      yield* store.create(session)
      const write = { session: "s", incarnation: "i", owner: "dead", epoch: 0, expectedSeq: 1, leaseFor: 0 } as const
      const running = { kind: "prompt", operationId: "o", since: 0 } as const
      const start = {
        id: 1,
        parentId: null,
        at: 0,
        operationId: "o",
        _tag: "OperationStarted",
        kind: "prompt"
      } as const
      const leave = store.append({
        ...write,
        lease: "once",
        entries: [start],
        running,
        partial: null,
        children: [],
        delivered: []
      })
      const late = Effect.flip(atRest({ isGone: () => true }, "s", (ref) => Effect.zipRight(leave, label(ref, "x", 1))))
      assert.match((yield* late).message, /^Session "s" has an unfinished prompt, /)
      assert.lengthOf(yield* store.read("s", "i", 1), 1)
    }).pipe(Effect.provide(CliEngine.histories({ cwd: ".", store: "memory" })), Effect.runPromise))

  it("that are not there are not made by commands that need one", async () => {
    const cwd = temporary({ "bad.ndjson": "{}\n" })
    for (const args of [
      ["tree"],
      ["transcript"],
      ["export"],
      ["label", "x"],
      ["move", "1"],
      ["rewind"],
      ["fork", "x"],
      ["compact"],
      ["remove", "main"]
    ]) {
      const done = await here(cwd, ...args)
      assert.deepStrictEqual(done, { code: 2, out: "", err: 'There is no session "main".\n' }, args[0])
    }
    assert.deepStrictEqual(await here(cwd, "search", "x"), { code: 0, out: "Nothing was found.\n", err: "" })
    assert.deepStrictEqual(await here(cwd, "prune", "--older-than", "1d"), {
      code: 0,
      out: "Nothing was removed; 0 sessions, 0 B, stayed.\n",
      err: ""
    })
    assert.strictEqual((await here(cwd, "import", join(cwd, "bad.ndjson"))).code, 2)
    assert.isFalse(existsSync(join(cwd, ".baton")))
  })

  it("are read and forked where something is unfinished, and not written to, which goes on with nothing", async () => {
    const cwd = temporary()
    const hangs = () => existsSync(join(cwd, "hanging"))
    const first = await slow(["prompt", "hang"], cwd, {
      env: { HANG: "1" },
      interrupt: { when: hangs, signals: ["SIGTERM"] }
    })
    assert.strictEqual(first.code, 143)
    const before = kept(cwd)
    const says =
      'Session "main" has an unfinished prompt, which is gone on with first: baton resume. Nothing was written.\n'
    for (const args of [["move", "start"], ["rewind"], ["label", "x"]]) {
      assert.deepStrictEqual(await here(cwd, ...args), { code: 1, out: "", err: says })
    }
    assert.match((await here(cwd, "tree")).out, /^main {2}baton · 2 entries\n└─ 1 … prompt hang {2}◀ head\n$/)
    assert.include((await here(cwd, "transcript")).out, "hang")
    assert.lengthOf(json((await here(cwd, "export")).out), 4)
    assert.include((await here(cwd, "search", "hang")).out, "main")
    assert.include(
      (await here(cwd, "prune", "--older-than", "0s", "--dry-run")).out,
      'stays: session "main" has an unfinished prompt'
    )
    assert.deepStrictEqual(kept(cwd), before)
    const forked = await slow(["fork", "copy"], cwd)
    assert.strictEqual(forked.out, 'Session "copy" goes on from entry 2 of "main".\n')
    assert.match((await here(cwd, "tree", "--session", "copy")).out, /■ prompt .*\(by fork\) {2}◀ head\n$/)
    const { entries, sessions } = kept(cwd)
    assert.deepStrictEqual(entries.slice(0, before.entries.length), before.entries)
    assert.deepStrictEqual(sessions[1], before.sessions[0])

    // And while another process is at it.
    let isOver = false
    const second = slow(["prompt", "hang", "--session", "other"], cwd, {
      env: { HANG: "1" },
      interrupt: { when: () => isOver, signals: ["SIGINT"] }
    })
    await vi.waitUntil(() => kept(cwd).sessions.some((it) => (it as { id: string }).id === "other"), 20_000)
    await vi.waitUntil(
      () =>
        kept(cwd).sessions.some(
          (it) => (it as { id: string; next_seq: number }).id === "other" && (it as { next_seq: number }).next_seq === 3
        ),
      20_000
    )
    for (const args of [["move", "start"], ["rewind"], ["label", "x"]]) {
      const done = await here(cwd, ...args, "--session", "other")
      assert.match(done.err, /^Session "other" is already running prompt in another process \(/)
      assert.strictEqual(done.code, 3)
    }
    const removed = await here(cwd, "remove", "other")
    assert.match(removed.err, /^Session "other" is already running /)
    assert.strictEqual(removed.code, 3)
    assert.match((await here(cwd, "tree", "--session", "other")).out, / … prompt /)
    isOver = true
    assert.strictEqual((await second).code, 130)
  })

  it("go from one store to another, by a file or from one process to the next", async () => {
    const [from, to] = [temporary(), temporary()]
    await good(["task", "again, of otters"], from)
    await good(["prompt", "again, evil", "--session", "main"], from)
    const file = join(to, "main.ndjson")
    assert.match(await good(["export", "--out", file], from), /^Session "main" is in .*main\.ndjson: \d+ lines\.\n$/)
    const text = readFileSync(file, "utf8")
    assert.strictEqual(await good(["export"], from), text)
    assert.match(
      await good(["import", file], to),
      /^Session "main" and 1 session of its tasks came in: \d+ entries\.\n$/
    )
    assert.strictEqual(await good(["export"], to), text)
    const piped = await good(["import", "-", "--as", "second", "--json"], to, { input: text })
    assert.deepInclude(json(piped)[0], { session: "second", interrupted: null })
    assert.lengthOf(json(piped), 2)
    assert.include(await good(["transcript", "--session", "second"], to), "again, evil")
    const twice = await slow(["import", file], to)
    assert.strictEqual(twice.err, 'Session "main" exists already.\n')
    assert.strictEqual(twice.code, 2)
    const whole = kept(to)
    const cut = await slow(["import", "-", "--as", "third"], to, { input: text.slice(0, -40) })
    assert.match(cut.err, /^Line \d+ of the export cannot be taken: it is no JSON\.\n$/)
    assert.strictEqual(cut.code, 2)
    assert.deepStrictEqual(kept(to), whole)
    // The copy goes on by itself.
    assert.include((await slow(["prompt", "again", "--session", "second"], to)).out, "Here I am.")
  })
})

describe("a terminal", () => {
  it("shows tables that fit and marks what was looked for, and nothing that was said takes effect on it", async () => {
    const cwd = temporary()
    const name = "a session with a name that is longer than a third of the terminal"
    const words = `hello \u009b31m otters\u202e ${"and so on ".repeat(40)}`
    assert.strictEqual((await here(cwd, "prompt", words, "--session", name)).code, 0)
    const at = { columns: 60 }
    const search = await onScreen(cwd, at, "search", "otters")
    assert.include(search.out, "\u001b[1m\u001b[33motters\u001b[39m\u001b[22m")
    for (const line of lines(stripVTControlCharacters(search.out))) assert.isAtMost(line.length, 60)
    assert.match(lines(search.out)[1]!, /^a session with a na… +2 /)
    const plain = await onScreen(cwd, { ...at, env: { NO_COLOR: "1" } }, "search", "otters")
    assert.strictEqual(plain.out, stripVTControlCharacters(search.out))
    // oxlint-disable-next-line no-control-regex -- They are what must not be there.
    const control = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/
    for (const args of [["tree"], ["transcript"], ["export"], ["rewind"]]) {
      const { code, out } = await onScreen(cwd, at, ...args, "--session", name)
      assert.strictEqual(code, 0)
      assert.notMatch(out, control, args[0])
      if (args[0] === "tree") for (const line of lines(out)) assert.isAtMost(line.length, 60)
    }
    const pruned = await onScreen(cwd, at, "prune", "--max-bytes", "0")
    for (const line of lines(pruned.out)) assert.isAtMost(line.length, 60)
    assert.match(pruned.out, /^a session with a na… +\d+ s ago +5 +[\d.]+ k?B\n {2}more than 0$/m)
  })

  it("is what texts are cleaned for: a file gets them as they are", async () => {
    const cwd = temporary()
    mkdirSync(join(cwd, "x"))
    writeFileSync(join(cwd, "x/y"), "")
    assert.strictEqual((await here(cwd, "prompt", "hello \u202eotters")).code, 0)
    assert.include((await here(cwd, "export")).out, "\u202eotters")
  })
})

describe("amounts", () => {
  it("are read as people write them", () => {
    assert.deepStrictEqual(
      ["30d", "12h", "90min", "1.5 m", "2W", "0s"].map(millisOf),
      [2_592_000_000, 43_200_000, 5_400_000, 90_000, 1_209_600_000, 0]
    )
    assert.deepStrictEqual(["500MB", "2GiB", "1000", "0", "1.5kb", "7 B"].map(bytesOf), [
      5e8,
      2 ** 31,
      1_000,
      0,
      1_500,
      7
    ])
    for (const text of ["", "d", "30", "-1d", "1e3d", "30 days", "1d12h", "0x10s", "1.d", "1constructor"]) {
      assert.isUndefined(millisOf(text), text)
    }
    for (const text of ["", "MB", "-1", "1.5", "1PB", "1,000", "toString"]) assert.isUndefined(bytesOf(text), text)
    assert.deepStrictEqual([0, 999, 1_000, 999_949, 999_950, 5e8, 2 ** 60].map(sizeOf), [
      "0 B",
      "999 B",
      "1.0 kB",
      "999.9 kB",
      "1.0 MB",
      "500.0 MB",
      "1152921.5 TB"
    ])
  })

  it("stand in columns that begin at the same place, whatever the width of their characters", () => {
    const rows = [
      ["日本", "x"],
      ["a", "yy"]
    ]
    assert.deepStrictEqual(columns(rows), ["日本  x", "a     yy"])
    assert.deepStrictEqual(
      columns(
        [
          ["日本", "x"],
          ["a", "yyy"]
        ],
        7
      ),
      ["日本  x", "a", "  yyy"]
    )
    const long = columns(
      [
        ["a", "one two three four five six"],
        ["bb", "x".repeat(30)]
      ],
      24
    )
    assert.deepStrictEqual(long, [
      "a   one two three four",
      "    five six",
      `bb  ${"x".repeat(20)}`,
      `    ${"x".repeat(10)}`
    ])
    assert.deepStrictEqual(columns([]), [])
  })
})
