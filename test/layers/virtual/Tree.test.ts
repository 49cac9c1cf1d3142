/**
 * The files of the virtual sandbox by themselves, without its thread.
 */
import { assert, describe, it } from "vitest"
import * as files from "../../../src/layers/virtual/files.js"
import { plant, take } from "../../../src/layers/virtual/snapshot.js"
import { Tree } from "../../../src/layers/virtual/Tree.js"

const root = "/workspace"

const make = async (max = 1_000, held: Readonly<Record<string, string>> = {}) => {
  const tree = new Tree(max)
  tree.putFolder(root)
  const write = (path: string, text: string) =>
    files.write(tree, root, { path, cwd: undefined, bytes: Buffer.from(text) })
  const read = async (path: string) =>
    Buffer.from(await files.read(tree, root, { path, cwd: undefined, offset: undefined, limit: undefined })).toString()
  for (const [path, text] of Object.entries(held)) await write(path, text)
  return { tree, read, write }
}

/** What something is refused with. */
const refused = (self: Promise<unknown>) =>
  self.then(
    () => "nothing",
    (error: Error) => error.message
  )

describe("a tree", () => {
  it("gives each copy bytes of its own, also where they are appended to", async () => {
    const { read, tree } = await make(1_000, { a: "1" })
    await tree.appendFile(`${root}/a`, "2")
    await tree.cp(`${root}/a`, `${root}/b`)
    await tree.appendFile(`${root}/b`, "b")
    await tree.appendFile(`${root}/a`, "a")
    assert.deepStrictEqual([await read("a"), await read("b")], ["12a", "12b"])
  })

  it("has room for what it was said to have, and gets it back from what is removed", async () => {
    const { read, tree, write } = await make(10, { a: "12345" })
    assert.match(await refused(write("b", "123456")), /^ENOSPC/)
    await tree.appendFile(`${root}/a`, "67890")
    assert.match(await refused(tree.appendFile(`${root}/a`, "x")), /^ENOSPC/)
    assert.strictEqual(await read("a"), "1234567890")
    await write("a", "123")
    await tree.link(`${root}/a`, `${root}/name`)
    await tree.rm(`${root}/a`)
    assert.match(await refused(write("b", "12345678")), /^ENOSPC/)
    await write("name", "12")
    await tree.rm(`${root}/name`)
    await write("d/b", "1234567890")
    await tree.rm(`${root}/d`, { recursive: true })
    await write("c", "1234567890")
  })

  it("moves and copies no folder into itself", async () => {
    const { read, tree } = await make(1_000, { "a/b/f": "x" })
    assert.match(await refused(tree.mv(`${root}/a`, `${root}/a/b/c`)), /^EINVAL/)
    assert.match(await refused(tree.cp(`${root}/a`, `${root}/a/b/c`, { recursive: true })), /^EINVAL/)
    assert.strictEqual(await read("a/b/f"), "x")
  })

  it("follows an absolute link from the top, and no link out of the root", async () => {
    const { read, tree } = await make(1_000, { "a/f": "x" })
    tree.put("/secret", Buffer.from("no"))
    await tree.symlink(`${root}/a/f`, `${root}/a/link`)
    await tree.symlink("/secret", `${root}/out`)
    await tree.symlink("../../secret", `${root}/a/up`)
    assert.strictEqual(await read("a/link"), "x")
    for (const path of ["out", "a/up", "../secret", "/secret", "/workspaces", "/workspace/../secret"]) {
      assert.strictEqual(await refused(read(path)), "it leads out of the sandbox", path)
    }
    await tree.rm(root, { recursive: true })
    await tree.mkdir("/other")
    await tree.symlink("/other", root)
    assert.strictEqual(
      await refused(files.list(tree, root, { path: ".", cwd: undefined })),
      "it leads out of the sandbox"
    )
  })

  it("makes nothing by a link with `..` behind what does not exist, and can be planted again", async () => {
    const { read, tree, write } = await make()
    await tree.symlink("nope/../../x", `${root}/l`)
    assert.match(await refused(write("l", "x")), /^ENOENT/)
    assert.match(await refused(tree.mkdir(`${root}/l`, { recursive: true })), /^ENOENT/)
    assert.match(await refused(tree.writeFile(`${root}/l/f`, "x")), /^ENOENT/)
    assert.isFalse(await tree.exists(`${root}/l`))
    await write("nope/f", "now it is there")
    await tree.symlink("nope/../nope/f", `${root}/through`)
    assert.strictEqual(await read("through"), "now it is there")
    const kept = await take(tree)
    assert.deepStrictEqual(await take(plant(kept, 1_000)), kept)
  })

  it("tells by a folder's time that a name came to it or went from it, by whatever way", async () => {
    const { tree } = await make(1_000, { "d/a": "1", x: "1" })
    const d = `${root}/d`
    const long = new Date(0)
    const ways: ReadonlyArray<readonly [string, () => Promise<void>]> = [
      ["a file made", () => tree.writeFile(`${d}/n`, "1")],
      ["a file removed", () => tree.rm(`${d}/n`)],
      ["another name", () => tree.mv(`${d}/a`, `${d}/b`)],
      ["a link", () => tree.symlink("b", `${d}/l`)],
      ["a second name", () => tree.link(`${d}/b`, `${d}/h`)],
      ["a copy", () => tree.cp(`${d}/b`, `${d}/c`)],
      ["a copied link", () => tree.cp(`${d}/l`, `${d}/m`)],
      ["a folder made", () => tree.mkdir(`${d}/e`)],
      ["what is moved in", () => tree.mv(`${root}/x`, `${d}/x`)],
      ["what is moved out", () => tree.mv(`${d}/x`, `${root}/x`)]
    ]
    for (const [way, change] of ways) {
      await tree.utimes(d, long, long)
      await change()
      assert.notStrictEqual((await tree.stat(d)).mtime.getTime(), 0, way)
    }
    await tree.utimes(d, long, long)
    await tree.writeFile(`${d}/b`, "2")
    assert.strictEqual((await tree.stat(d)).mtime.getTime(), 0)
  })

  it("asks the folder below for the part that it is asked for, until the file is written", async () => {
    const { tree } = await make()
    const held = Buffer.from("0123456789")
    const asked: Array<ReadonlyArray<unknown>> = []
    tree.mount("/below", {
      list: async () => [["f", { kind: "file", mode: 0o644, mtime: 0, size: held.length }]],
      read: async (file, offset = 0, limit = held.length) => {
        asked.push([file, offset, limit])
        return held.subarray(offset, offset + limit)
      }
    })
    const part = async (offset: number, limit: number) =>
      Buffer.from(await files.read(tree, "/below", { path: "f", cwd: undefined, offset, limit })).toString()
    assert.strictEqual(await part(2, 3), "234")
    assert.strictEqual(await part(8, 4), "89")
    assert.deepStrictEqual(asked, [
      ["f", 2, 3],
      ["f", 8, 4]
    ])
    await tree.appendFile("/below/f", "a")
    asked.length = 0
    assert.strictEqual(await part(9, 5), "9a")
    assert.deepStrictEqual(asked, [])
  })

  it("lists by name, in whatever order things were made", async () => {
    const { tree } = await make(1_000, { z: "", B: "", "a/f": "" })
    assert.deepStrictEqual(await files.list(tree, root, { path: ".", cwd: undefined }), [
      { name: "B", type: "file" },
      { name: "a", type: "directory" },
      { name: "z", type: "file" }
    ])
  })

  it("is written to neither below a repository's folder, nor by one of two names, nor as a folder", async () => {
    const { tree, write } = await make(1_000, { f: "" })
    for (const path of [".git/f", ".GIT/f", "a/.Baton/f"]) assert.match(await refused(write(path, "x")), /not written/)
    assert.strictEqual(await refused(write("new/", "x")), "it is named as a folder")
    await tree.link(`${root}/f`, `${root}/g`)
    assert.match(await refused(write("g", "x")), /another name/)
  })

  it("comes back from a snapshot with its names, its times and its bound", async () => {
    const { tree } = await make(1_000, { "a/f": "12345" })
    await tree.link(`${root}/a/f`, `${root}/a/name`)
    await tree.utimes(`${root}/a`, new Date(5_000), new Date(5_000))
    const kept = await take(tree)
    const again = plant(kept, 5)
    assert.deepStrictEqual(await take(again), kept)
    await again.writeFile(`${root}/a/name`, "54321")
    assert.strictEqual(await again.readFile(`${root}/a/f`), "54321")
    assert.throws(() => plant(kept, 4), /^ENOSPC/)
    const file = { type: "file", mode: 0o644, mtime: 0, content: "" } as const
    for (const path of ["/a/../b", "a", "/"]) {
      assert.throws(() => plant({ version: 1, entries: [{ ...file, path }] }, 10), /has an entry that is none/)
    }
  })
})
