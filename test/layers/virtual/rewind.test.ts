/**
 * What sessions changed in a tree, and how it is brought back, without the thread.
 */
import { FastCheck as fc } from "effect"
import { assert, describe, it } from "vitest"
import * as files from "../../../src/layers/virtual/files.js"
import { type Author, Changes } from "../../../src/layers/virtual/Changes.js"
import { Hand } from "../../../src/layers/virtual/Hand.js"
import { rewind } from "../../../src/layers/virtual/rewind.js"
import { take } from "../../../src/layers/virtual/snapshot.js"
import { type Below, Tree } from "../../../src/layers/virtual/Tree.js"
import type { Restored } from "../../../src/services/Sandbox.js"

const root = "/w"

/** Every path below the root, with what stands there. */
const dump = async (tree: Tree): Promise<ReadonlyMap<string, string>> => {
  const all = new Map<string, string>()
  const names = new Map<string, string>()
  for (const entry of (await take(tree)).entries) {
    if (entry.path === root) continue
    let said: string
    if (entry.type === "name") said = names.get(entry.of)!
    else if (entry.type === "file") {
      said = `file ${entry.mode.toString(8)} ${Buffer.from(entry.content, "base64").toString()}`
    } else said = `${entry.type} ${entry.mode.toString(8)} ${entry.type === "link" ? entry.target : ""}`
    names.set(entry.path, said)
    all.set(entry.path.slice(root.length + 1), said)
  }
  return all
}

const make = (max = 1_000_000, room = 1_000_000, forgotten?: number) => {
  const tree = new Tree(room)
  tree.putFolder(root)
  tree.changes = new Changes(max, forgotten)
  return tree
}

/** Restores as the sandbox does: asks for the places first. */
const restore = async (
  tree: Tree,
  session: string,
  onPath: (place: number) => boolean,
  above: ReadonlyArray<Author> = []
): Promise<Restored> => {
  const by = [{ session, place: undefined }, ...above]
  let known: ReadonlyArray<number> = []
  for (;;) {
    const it = await rewind(() => tree, root, { session, by, known, onPath: known.filter(onPath) })
    if (!("places" in it)) return it
    known = it.places
  }
}

const at = (session: string, place: number) => [{ session, place }]
const upTo = (place: number) => (it: number) => it <= place
const hand = (tree: Tree, session: string, place: number) => new Hand(tree, at(session, place))
const read = (tree: Tree, name: string) => tree.readFile(`${root}/${name}`)

/** What may be done to a tree. */
type Op = (tree: Hand | Tree) => Promise<unknown>

const names = ["a", "b", "d", "d/a", "d/e", "d/e/a"]
const name = fc.constantFrom(...names).map((it) => `${root}/${it}`)
const text = fc.constantFrom("", "1", "22", "333")
const op: fc.Arbitrary<readonly [words: string, Op]> = fc.oneof(
  fc.tuple(name, text).map(([p, t]) => [`write ${p} ${t}`, (on: Hand | Tree) => on.writeFile(p, t)] as const),
  fc.tuple(name, text).map(([p, t]) => [`append ${p} ${t}`, (on: Hand | Tree) => on.appendFile(p, t)] as const),
  name.map((p) => [`mkdir ${p}`, (on: Hand | Tree) => on.mkdir(p, { recursive: true })] as const),
  name.map((p) => [`rm ${p}`, (on: Hand | Tree) => on.rm(p, { recursive: true })] as const),
  fc.tuple(name, name).map(([p, q]) => [`mv ${p} ${q}`, (on: Hand | Tree) => on.mv(p, q)] as const),
  fc
    .tuple(name, name)
    .map(([p, q]) => [`cp ${p} ${q}`, (on: Hand | Tree) => on.cp(p, q, { recursive: true })] as const),
  fc.tuple(name, name).map(([p, q]) => [`ln ${p} ${q}`, (on: Hand | Tree) => on.link(p, q)] as const),
  fc.tuple(name, name).map(([p, q]) => [`ln -s ${p} ${q}`, (on: Hand | Tree) => on.symlink(p, q)] as const),
  fc
    .tuple(name, fc.constantFrom(0o600, 0o755))
    .map(([p, mode]) => [`chmod ${p} ${mode.toString(8)}`, (on: Hand | Tree) => on.chmod(p, mode)] as const)
)

type Step =
  | {
      readonly who: "parent" | "child" | "other" | "nobody"
      readonly op: readonly [string, Op]
      readonly next: boolean
    }
  | { readonly who: "parent" | "child" | "other"; readonly move: number }

const act = (...who: ReadonlyArray<"parent" | "child" | "other" | "nobody">): fc.Arbitrary<Step> =>
  fc.record({ who: fc.constantFrom(...who), op, next: fc.boolean() })
const move = (...who: ReadonlyArray<"parent" | "child" | "other">): fc.Arbitrary<Step> =>
  fc.record({ who: fc.constantFrom(...who), move: fc.nat() })
const steps = (...all: ReadonlyArray<fc.Arbitrary<Step>>) => fc.array(fc.oneof(...all), { maxLength: 30 })

/** A history that branches: the way to an entry, by its places. */
class Line {
  next = 2
  ways: Array<ReadonlySet<number>> = [new Set(), new Set([1])]
  head = 1
  entry(): number {
    this.ways[this.next] = new Set([...this.ways[this.head]!, this.next])
    this.head = this.next
    return this.next++
  }
  moveTo(entry: number): void {
    this.ways[this.next] = new Set([...this.ways[entry]!, this.next])
    this.head = this.next++
  }
}

interface Seen {
  readonly place: number | undefined
  readonly path: string
  readonly before: string | undefined
  readonly after: string | undefined
}

const differing = (before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>) =>
  [...new Set([...before.keys(), ...after.keys()])].filter((it) => before.get(it) !== after.get(it))

/** Runs a program, and holds each restoring against a model that knows only how the tree looked. */
const model = async (program: ReadonlyArray<Step>, strict: boolean): Promise<void> => {
  const tree = make()
  const lines = { parent: new Line(), child: new Line(), other: new Line() }
  const seen: { [who: string]: Array<Seen> } = { parent: [], child: [], other: [] }
  /** How the tree looked at each entry of the parent. */
  const looked = new Map<number, ReadonlyMap<string, string>>([[1, await dump(tree)]])
  const authors = (who: "parent" | "child" | "other" | "nobody"): ReadonlyArray<Author> => {
    if (who === "nobody") return []
    const own = { session: who, place: lines[who].next }
    return who === "child" ? [own, { session: "parent", place: lines.parent.next }] : [own]
  }
  for (const step of program) {
    const before = await dump(tree)
    if ("op" in step) {
      const by = authors(step.who)
      await step.op[1](by.length === 0 ? tree : new Hand(tree, by)).catch(() => undefined)
      const after = await dump(tree)
      for (const path of differing(before, after)) {
        for (const { place, session } of by) {
          seen[session]!.push({ place, path, before: before.get(path), after: after.get(path) })
        }
      }
      if (!step.next || step.who === "nobody") continue
      const entry = lines[step.who].entry()
      if (step.who === "parent") looked.set(entry, after)
      continue
    }
    // An operation has written its end before the head is moved.
    looked.set(lines.parent.entry(), before)
    const { who } = step
    const line = lines[who]
    const entry = 1 + (step.move % (line.next - 1))
    const way = line.ways[entry]!
    const result = await restore(tree, who, (place) => way.has(place))
    const after = await dump(tree)
    const ofPath = new Map<string, Array<Seen>>()
    for (const it of seen[who]!) ofPath.set(it.path, [...(ofPath.get(it.path) ?? []), it])
    const told = new Map(result.conflicts.map(({ path, reason }) => [path, reason]))
    const changed = differing(before, after)
    assert.deepStrictEqual([...result.restored], changed.toSorted(), "what was restored is what has changed")
    for (const path of changed) assert.isTrue(ofPath.has(path), `${path} was changed by the session`)
    for (const [path, changes] of ofPath) {
      const last = changes.findLast(({ place }) => place !== undefined && way.has(place))
      const wanted = last === undefined ? changes[0]!.before : last.after
      if (before.get(path) === wanted) assert.isFalse(told.has(path), `${path} stands as it was`)
      else if (before.get(path) !== changes.at(-1)!.after) assert.match(told.get(path) ?? "", /somebody else/)
      else if (told.has(path)) {
        assert.strictEqual(after.get(path), before.get(path))
        assert.match(told.get(path)!, /holds something|folder that it stood in/)
      } else assert.strictEqual(after.get(path), wanted, path)
    }
    for (const path of changed) {
      seen[who]!.push({ place: undefined, path, before: before.get(path), after: after.get(path) })
    }
    line.moveTo(entry)
    if (!strict) continue
    assert.deepStrictEqual(result.conflicts, [])
    const wanted = looked.get(entry)!
    assert.deepStrictEqual([...after].toSorted(), [...wanted].toSorted(), `it looks as at ${entry}`)
    looked.set(line.head, wanted)
  }
}

describe("what a session changed", () => {
  it("by itself and its tasks comes back as it was at any entry, and goes forward again", async () => {
    await fc.assert(
      fc.asyncProperty(steps(act("parent", "child"), act("parent", "child"), move("parent")), (program) =>
        model(program, true)
      ),
      { numRuns: 400 }
    )
  })

  it("is all that is touched, and what somebody else changed since is left and told", async () => {
    const program = steps(
      act("parent", "child", "other", "nobody"),
      act("parent", "child", "other"),
      move("parent", "child", "other")
    )
    await fc.assert(
      fc.asyncProperty(program, (it) => model(it, false)),
      { numRuns: 600 }
    )
  })

  it("is left where a folder has come to hold what others put there, or the one that it stood in is gone", async () => {
    const tree = make()
    await hand(tree, "s", 5).mkdir(`${root}/made`)
    await tree.writeFile(`${root}/made/others`, "x")
    assert.deepStrictEqual(await restore(tree, "s", upTo(4)), {
      restored: [],
      conflicts: [{ path: "made", reason: "it holds something that the session did not put there" }]
    })
    await tree.mkdir(`${root}/theirs`)
    await hand(tree, "s", 6).writeFile(`${root}/theirs/f`, "x")
    await hand(tree, "s", 7).rm(`${root}/theirs/f`)
    await tree.rm(`${root}/theirs`)
    const gone = { path: "theirs/f", reason: "the folder that it stood in is not there" }
    assert.deepStrictEqual(await restore(tree, "s", upTo(6)), { restored: [], conflicts: [gone] })
    await tree.symlink(`${root}/made`, `${root}/theirs`)
    assert.deepStrictEqual(await restore(tree, "s", upTo(6)), { restored: [], conflicts: [gone] })
    assert.deepStrictEqual(await tree.readdir(`${root}/made`), ["others"])
  })

  it("does not come back where there is no room for it, and what stood in its place stays", async () => {
    const tree = make(1_000_000, 100)
    await hand(tree, "s", 5).writeFile(`${root}/f`, "x".repeat(60))
    await hand(tree, "s", 6).rm(`${root}/f`)
    await hand(tree, "s", 6).symlink("elsewhere", `${root}/f`)
    await tree.writeFile(`${root}/theirs`, "y".repeat(60))
    const conflicts = [{ path: "f", reason: "the sandbox has no room for it" }]
    assert.deepStrictEqual(await restore(tree, "s", upTo(5)), { restored: [], conflicts })
    assert.strictEqual(await tree.readlink(`${root}/f`), "elsewhere")
    await tree.rm(`${root}/theirs`)
    assert.deepStrictEqual(await restore(tree, "s", upTo(5)), { restored: ["f"], conflicts: [] })
    assert.strictEqual(await read(tree, "f"), "x".repeat(60))
    await tree.writeFile(`${root}/rest`, "y".repeat(40))
    const refused = await tree.writeFile(`${root}/more`, "y").catch((error: Error) => error.message)
    assert.match(String(refused), /^ENOSPC/)
  })

  it("is not what was appended to it after it came back", async () => {
    const tree = make()
    for (let i = 0; i < 5; i++) await hand(tree, "s", 10 + i).appendFile(`${root}/log`, `${i}`)
    await restore(tree, "s", upTo(11))
    await hand(tree, "s", 20).appendFile(`${root}/log`, "x")
    assert.strictEqual(await read(tree, "log"), "01x")
    await restore(tree, "s", upTo(13))
    assert.strictEqual(await read(tree, "log"), "0123")
    await restore(tree, "s", upTo(14))
    assert.strictEqual(await read(tree, "log"), "01234")
    await restore(tree, "s", (place) => place === 20)
    assert.strictEqual(await read(tree, "log"), "01x")
  })

  it("is also the other name of a file, and the folders on the way to one", async () => {
    const tree = make()
    await hand(tree, "s", 5).writeFile(`${root}/a`, "1")
    await hand(tree, "s", 6).link(`${root}/a`, `${root}/b`)
    await hand(tree, "s", 7).writeFile(`${root}/a`, "2")
    await hand(tree, "s", 7).chmod(`${root}/b`, 0o600)
    const bytes = Buffer.from("x")
    await files.write(tree, root, { path: "on/the/way", cwd: undefined, bytes, by: at("s", 8) })
    assert.deepStrictEqual(await restore(tree, "s", upTo(6)), {
      restored: ["a", "b", "on", "on/the", "on/the/way"],
      conflicts: []
    })
    assert.deepStrictEqual([await read(tree, "a"), await read(tree, "b")], ["1", "1"])
  })

  it("is kept up to a number of bytes; what would need the oldest is told, and is never wrong", async () => {
    const tree = make(4_200)
    const write = (place: number, name: string, text: string) =>
      hand(tree, "s", place).writeFile(`${root}/${name}`, text)
    await write(5, "a", "first")
    await write(6, "b", "first")
    await write(7, "a", "second")
    for (let i = 0; i < 3; i++) await write(8 + i, "big", `${i}`.repeat(1_000))
    assert.isAtMost(tree.changes!.taken, 4_200)
    const old = "how it was is not kept any more"
    assert.deepStrictEqual(await restore(tree, "s", upTo(4)), {
      restored: [],
      conflicts: ["a", "b", "big"].map((path) => ({ path, reason: old }))
    })
    assert.deepStrictEqual(await restore(tree, "s", upTo(9)), {
      restored: ["big"],
      conflicts: ["a", "b"].map((path) => ({ path, reason: old }))
    })
    assert.strictEqual(await read(tree, "big"), "1".repeat(1_000))
  })

  it("takes no room any more when it is dropped, and a log shares what is appended to", async () => {
    const tree = make(100_000)
    for (let i = 0; i < 200; i++) await hand(tree, "s", i).appendFile(`${root}/log`, "line\n".repeat(10))
    assert.isAbove(tree.changes!.taken, 200 * 400)
    assert.deepStrictEqual((await restore(tree, "s", upTo(100))).restored, ["log"])
    const small = make(0)
    await hand(small, "s", 5).writeFile(`${root}/a`, "1")
    assert.strictEqual(small.changes!.taken, 0)
  })

  it("says that there may be more where even the names of the oldest are gone", async () => {
    const tree = make(0, 1_000_000, 2)
    for (const [i, session] of ["s", "s", "t", "u"].entries()) {
      await hand(tree, session, i).writeFile(`${root}/${i}`, "x")
    }
    const lost = [{ path: ".", reason: "older changes are not kept any more" }]
    assert.deepStrictEqual((await restore(tree, "s", upTo(9))).conflicts, lost)
    // From then on it is not known of any session whether it is new.
    assert.deepStrictEqual((await restore(tree, "u", upTo(9))).conflicts, [
      ...lost,
      { path: "3", reason: "how it was is not kept any more" }
    ])
  })

  it("of the folder below comes back as what stands there, and is not read for it", async () => {
    const below: Below = {
      list: async (folder) =>
        folder === "."
          ? [["in", { kind: "folder", mode: 0o750, mtime: 1 }]]
          : folder === "in"
            ? [
                ["f", { kind: "file", mode: 0o640, mtime: 1, size: 5 }],
                ["deep", { kind: "folder", mode: 0o755, mtime: 1 }]
              ]
            : [["g", { kind: "file", mode: 0o644, mtime: 1, size: 4 }]],
      read: async (file) => Buffer.from(`<${file}>`)
    }
    const tree = new Tree(1_000)
    tree.mount(root, below)
    tree.changes = new Changes(1_000_000)
    await hand(tree, "s", 5).mv(`${root}/in`, `${root}/out`)
    await hand(tree, "s", 6).writeFile(`${root}/out/f`, "written")
    await hand(tree, "s", 7).rm(`${root}/out`, { recursive: true })
    const there = await restore(tree, "s", upTo(6))
    assert.deepStrictEqual(there, { restored: ["out", "out/deep", "out/deep/g", "out/f"], conflicts: [] })
    assert.deepStrictEqual([await read(tree, "out/f"), await read(tree, "out/deep/g")], ["written", "<in/deep/g>"])
    await restore(tree, "s", upTo(4))
    assert.deepStrictEqual(
      [...(await dump(tree))],
      [
        ["in", "folder 750 "],
        ["in/deep", "folder 755 "],
        ["in/deep/g", "file 644 <in/deep/g>"],
        ["in/f", "file 640 <in/f>"]
      ]
    )
  })
})
