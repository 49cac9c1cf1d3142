/**
 * A file system in memory, with a real folder below it if one is given.
 *
 * A node is a file, a folder or a link; a file that has two names is one node. Links are followed inside the tree alone,
 * and what a link of the real folder names is looked for here. So nothing leads out of it.
 */
import { Buffer } from "node:buffer"
import * as path from "node:path/posix"
import { setImmediate } from "node:timers/promises"
import type { Author, Changes } from "./Changes.js"
import type { CpOptions, DirentEntry, FsStat, IFileSystem, MkdirOptions, RmOptions } from "./justBash.js"
import type { File, Folder, Link, Node } from "./Node.js"
import { type Standing, standingOf } from "./standing.js"

export type { Node } from "./Node.js"

/** What a thing has besides what it holds. */
interface Meta {
  readonly mode?: number
  readonly mtime?: number
}

/** Where a path leads: to a node, or to a folder in which names are missing. */
export interface Found {
  readonly node: Node | undefined
  /** The folder that the node stands in, or the last one that exists. Its entries were listed. */
  readonly folder: Folder
  /** The path without links, of what exists of it. */
  readonly real: ReadonlyArray<string>
  readonly missing: ReadonlyArray<string>
}

/** What a folder below is asked for. Every path is one that was listed as no link. */
export interface Below {
  readonly list: (folder: string) => Promise<ReadonlyArray<readonly [name: string, entry: BelowEntry]>>
  /** As many bytes as there are from `offset` on, at most `limit`; without these, all of them. */
  readonly read: (file: string, offset?: number, limit?: number) => Promise<Uint8Array>
}

export type BelowEntry =
  | { readonly kind: "file"; readonly mode: number; readonly mtime: number; readonly size: number }
  | { readonly kind: "folder"; readonly mode: number; readonly mtime: number }
  | { readonly kind: "link"; readonly mode: number; readonly mtime: number; readonly target: string }

/** As many links are followed as Linux would follow. */
const maxLinks = 40

/** How long commands hold their thread before others get a turn, in milliseconds. */
const turn = 10

// Taken before a command runs: while one does, these globals are closed to what it runs in.
const elapsed = performance.now.bind(performance)
const origin = performance.timeOrigin

/** For whom something is changed. */
export type By = ReadonlyArray<Author>

const nobody: By = []

export class Tree implements IFileSystem {
  /** Where it is noted what is changed, and for whom; not what is changed for nobody. */
  changes: Changes | undefined
  readonly #max: number
  readonly #root: Folder
  #below: Below | undefined
  #bytes = 0
  #ids = 0
  #turnBegan = 0

  /** Holds at most `max` bytes in its files. */
  constructor(max: number) {
    this.#max = max
    this.#root = { ...this.#meta(0o755), kind: "folder", entries: new Map(), below: "" }
  }

  /** Puts a real folder in at a path. */
  mount(at: string, below: Below): void {
    this.#below = below
    const folder = this.#makeFolders(path.dirname(at))
    folder.entries!.set(path.basename(at), { ...this.#meta(0o755), kind: "folder", entries: undefined, below: "." })
  }

  // What the sandbox asks

  /** Follows an absolute path; with `last` false its last name is not followed if it is a link. */
  async find(asked: string, last = true): Promise<Found> {
    const ahead = names(asked).toReversed()
    const folders = [this.#root]
    let real: Array<string> = []
    let links = 0
    for (let name = ahead.pop(); name !== undefined; name = ahead.pop()) {
      if (name === "..") {
        if (real.length > 0) folders.pop()
        real.pop()
        continue
      }
      const folder = folders.at(-1)!
      const node = (await this.entries(folder)).get(name)
      if (node === undefined) {
        // What does not exist has no folder above it, whatever its name is.
        if (ahead.includes("..")) throw absent("open", asked)
        return { node, folder, real, missing: [name, ...ahead.toReversed()] }
      }
      if (node.kind === "link" && (last || ahead.length > 0)) {
        if (++links > maxLinks) throw fault("ELOOP", "too many levels of symbolic links", "open", asked)
        if (path.isAbsolute(node.target)) {
          folders.length = 1
          real = []
        }
        ahead.push(...names(node.target).toReversed())
        continue
      }
      real.push(name)
      if (node.kind === "folder") folders.push(node)
      else if (ahead.length > 0) throw fault("ENOTDIR", "not a directory", "open", asked)
      else return { node, folder, real, missing: [] }
    }
    return { node: folders.at(-1)!, folder: folders.at(-2) ?? this.#root, real, missing: [] }
  }

  async entries(folder: Folder): Promise<ReadonlyMap<string, Node>> {
    if (folder.entries !== undefined) return folder.entries
    const listed = await this.#below!.list(folder.below)
    // Another may have listed it in the meantime, and somebody may have written to that.
    folder.entries ??= new Map(
      listed.map(([name, { mode, mtime, ...entry }]): [string, Node] => {
        const meta = { id: ++this.#ids, mode, mtime }
        const below = path.join(folder.below, name)
        if (entry.kind === "link") return [name, { ...meta, ...entry }]
        if (entry.kind === "folder") return [name, { ...meta, kind: "folder", entries: undefined, below }]
        return [name, { ...meta, ...entry, bytes: undefined, below, names: 1 }]
      })
    )
    return folder.entries
  }

  bytesOf(file: File): Promise<Uint8Array> | Uint8Array {
    return file.bytes ?? this.#below!.read(file.below)
  }

  /** The bytes from `offset` on, at most `limit`. They are a copy; of the real folder no others are read. */
  partOf(file: File, offset: number, limit: number): Promise<Uint8Array> | Uint8Array {
    return file.bytes?.slice(offset, offset + limit) ?? this.#below!.read(file.below, offset, limit)
  }

  /** Makes a file at a place that has no links in it hold these bytes; folders on the way to it are made. */
  put(place: string, bytes: Uint8Array, meta: Meta = {}, by = nobody): void {
    this.#put(this.#makeFolders(path.dirname(place), by), path.basename(place), bytes, meta, place, place, by)
  }

  /** Makes a folder at a place that has no links in it. */
  putFolder(place: string, meta: Meta = {}): void {
    const folder = this.#makeFolders(place)
    folder.mode = meta.mode ?? folder.mode
    folder.mtime = meta.mtime ?? folder.mtime
  }

  putLink(place: string, target: string, { mode = 0o777, mtime }: Meta = {}): void {
    const made = this.#meta(mode)
    const link: Link = { ...made, mtime: mtime ?? made.mtime, kind: "link", target }
    this.#enter(this.#makeFolders(path.dirname(place)), path.basename(place), link, place, nobody)
  }

  /** Gives the file at one place another name. */
  putName(place: string, other: string): void {
    const node = this.#makeFolders(path.dirname(other)).entries!.get(path.basename(other))
    if (node?.kind !== "file") throw fault("ENOENT", "no such file or directory", "link", other)
    this.#enter(this.#makeFolders(path.dirname(place)), path.basename(place), node, place, nobody)
    node.names++
  }

  // What a restoring asks. Places are named without links, and none is followed.

  /** Lists the real folders on the way to a place, and the one at it. Fails where that cannot be done. */
  async lookAt(place: string): Promise<void> {
    for (let way = this.#way(place); way.unlisted !== undefined; way = this.#way(place))
      await this.entries(way.unlisted)
  }

  /** What stands at a place; `"unlisted"` where a folder has to be listed for it, or for what it holds. */
  standing(place: string): { readonly standing: Standing } | "unlisted" {
    const { node, unlisted } = this.#way(place)
    return unlisted === undefined ? { standing: standingOf(node) } : "unlisted"
  }

  /** Takes away what stands at a place; what it gives puts that back. `undefined` for a folder that holds something. */
  takeAway(place: string): (() => void) | undefined {
    const { folder, name, node } = this.#way(place)
    if (folder === undefined || node === undefined) return () => {}
    if (node.kind === "folder" && node.entries?.size !== 0) return undefined
    this.#remove(folder, name, place, nobody)
    return () => {
      if (node.kind === "file" && ++node.names === 1) this.#bytes += node.bytes?.length ?? 0
      this.#enter(folder, name, node, place, nobody)
    }
  }

  /** Makes something stand at a place where nothing does, or something of its kind; says why if it cannot. */
  stand(place: string, standing: NonNullable<Standing>): string | undefined {
    const { folder, name, node } = this.#way(place)
    if (folder === undefined) return "the folder that it stood in is not there"
    const { mode } = standing
    if (standing.kind === "folder") {
      const it = node?.kind === "folder" ? node : this.#makeFolder(folder, name, place, nobody)
      it.mode = mode
      return undefined
    }
    let made: Node = { ...this.#meta(mode), kind: "link", target: "" }
    if (standing.kind === "link") made = { ...made, target: standing.target }
    else {
      if (standing.bytes === undefined && this.#below === undefined) {
        return "it stands in the folder below, which is not read any more"
      }
      const bytes = lasting(standing.bytes)
      const freed = node?.kind === "file" && node.names === 1 ? (node.bytes?.length ?? 0) : 0
      if (!this.#hasRoom((bytes?.length ?? 0) - freed)) return "the sandbox has no room for it"
      this.#bytes += bytes?.length ?? 0
      made = { ...this.#meta(mode), kind: "file", bytes, below: standing.below, size: standing.size, names: 1 }
    }
    if (node !== undefined) this.#release(node)
    this.#enter(folder, name, made, place, nobody)
    return undefined
  }

  #way(place: string): {
    /** The folder that it stands in, or would; `undefined` where that is not there. */
    readonly folder: Folder | undefined
    readonly name: string
    readonly node: Node | undefined
    readonly unlisted?: Folder
  } {
    const all = names(place)
    const name = all.pop()!
    let folder = this.#root
    for (const step of all) {
      if (folder.entries === undefined) return { folder, name, node: undefined, unlisted: folder }
      const next = folder.entries.get(step)
      if (next?.kind !== "folder") return { folder: undefined, name, node: undefined }
      folder = next
    }
    if (folder.entries === undefined) return { folder, name, node: undefined, unlisted: folder }
    const node = folder.entries.get(name)
    return node?.kind === "folder" && node.entries === undefined
      ? { folder, name, node, unlisted: node }
      : { folder, name, node }
  }

  // What the shell asks

  async readFile(asked: string, options?: string | { readonly encoding?: string | null }): Promise<string> {
    return Buffer.from(await this.readFileBuffer(asked)).toString(encodingOf(options))
  }

  async readFileBuffer(asked: string): Promise<Uint8Array> {
    return this.bytesOf(fileOf(await this.#get(asked, "open"), "open", asked))
  }

  async writeFile(asked: string, content: string | Uint8Array, options?: Encoding, by = nobody): Promise<void> {
    const { folder, name, place } = await this.#aim(asked, "open")
    this.#put(folder, name, bytesOf(content, options), {}, asked, place, by)
  }

  async appendFile(asked: string, content: string | Uint8Array, options?: Encoding, by = nobody): Promise<void> {
    const { folder, name, node, place } = await this.#aim(asked, "open")
    const added = bytesOf(content, options)
    if (node === undefined) return this.#put(folder, name, added, {}, asked, place, by)
    const file = fileOf(node, "open", asked)
    const before = file.bytes ?? (await this.bytesOf(file))
    this.#charge(added.length + (file.bytes === undefined ? before.length : 0), asked)
    const was = standingOf(file)
    file.bytes = grown(file.bytes ?? before, added)
    file.mtime = this.#now()
    this.#became(file, was, place, by)
  }

  async exists(asked: string): Promise<boolean> {
    try {
      return (await this.find(asked)).node !== undefined
    } catch {
      return false
    }
  }

  async stat(asked: string): Promise<FsStat> {
    // The one place that every command passes: where they are many, whoever waits for the thread gets a turn.
    const now = elapsed()
    if (now - this.#turnBegan > turn) {
      await setImmediate()
      this.#turnBegan = elapsed()
    }
    return statOf(await this.#get(asked, "stat"))
  }

  async lstat(asked: string): Promise<FsStat> {
    return statOf(await this.#get(asked, "lstat", false))
  }

  async mkdir(asked: string, options?: MkdirOptions, by = nobody): Promise<void> {
    const { folder, missing, node, real } = await this.find(asked)
    if (node !== undefined) {
      if (options?.recursive === true && node.kind === "folder") return
      throw fault("EEXIST", "file already exists", "mkdir", asked)
    }
    if (missing.length > 1 && options?.recursive !== true) throw absent("mkdir", asked)
    let at = folder
    missing.forEach((name, i) => {
      at = this.#makeFolder(at, name, placeOf([...real, ...missing.slice(0, i + 1)]), by)
    })
  }

  async readdir(asked: string): Promise<Array<string>> {
    return [...(await this.#list(asked)).keys()].toSorted()
  }

  async readdirWithFileTypes(asked: string): Promise<Array<DirentEntry>> {
    return [...(await this.#list(asked))]
      .map(([name, node]) => ({ name, ...typesOf(node) }))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }

  async rm(asked: string, options?: RmOptions, by = nobody): Promise<void> {
    const { folder, node, real } = await this.#findWhole(asked, by)
    if (node === undefined) {
      if (options?.force === true) return
      throw absent("rm", asked)
    }
    if (real.length === 0) throw fault("EBUSY", "resource busy or locked", "rm", asked)
    if (node.kind === "folder" && options?.recursive !== true && (await this.entries(node)).size > 0) {
      throw fault("ENOTEMPTY", "directory not empty", "rm", asked)
    }
    this.#remove(folder, real.at(-1)!, placeOf(real), by)
  }

  async cp(from: string, to: string, options?: CpOptions, by = nobody): Promise<void> {
    const source = await this.#existing(from, "cp", false)
    if (source.node.kind === "folder" && options?.recursive !== true) {
      throw fault("EISDIR", "is a directory", "cp", from)
    }
    const { folder, name, node, place, real } = await this.#aim(to, "cp", source.node.kind !== "link")
    if (source.node.kind === "folder" && source.real.every((part, i) => real[i] === part)) {
      throw fault("EINVAL", "cannot copy a directory into itself", "cp", to)
    }
    await this.#copy(source.node, folder, name, node, to, place, by)
  }

  async mv(from: string, to: string, by = nobody): Promise<void> {
    const source = present(await this.#findWhole(from, by), "mv", from)
    const { folder, name, node, place, real } = await this.#aim(to, "mv", false)
    if (source.node === node) return
    if (source.node.kind === "folder" && source.real.every((part, i) => real[i] === part)) {
      throw fault("EINVAL", "cannot move a directory into itself", "mv", to)
    }
    if (node?.kind === "folder") {
      if (source.node.kind !== "folder") throw fault("EISDIR", "is a directory", "mv", to)
      if ((await this.entries(node)).size > 0) throw fault("ENOTEMPTY", "directory not empty", "mv", to)
    }
    if (source.node.kind === "folder" && node !== undefined && node.kind !== "folder") {
      throw fault("ENOTDIR", "not a directory", "mv", to)
    }
    if (node !== undefined) this.#remove(folder, name, place, nobody)
    const taken = this.#take(source.folder, source.real.at(-1)!, placeOf(source.real), by)
    this.#enter(folder, name, taken, place, by, standingOf(node))
  }

  resolvePath(base: string, asked: string): string {
    return path.resolve("/", base, asked)
  }

  /** Globs walk the folders. */
  getAllPaths(): Array<string> {
    return []
  }

  async chmod(asked: string, mode: number, by = nobody): Promise<void> {
    const { node, real } = await this.#existing(asked, "chmod")
    const was = standingOf(node)
    node.mode = mode & 0o7777
    this.#became(node, was, placeOf(real), by)
  }

  async symlink(target: string, asked: string, by = nobody): Promise<void> {
    const { folder, name, node, place } = await this.#aim(asked, "symlink", false)
    if (node !== undefined) throw fault("EEXIST", "file already exists", "symlink", asked)
    this.#enter(folder, name, { ...this.#meta(0o777), kind: "link", target }, place, by)
  }

  async link(existing: string, asked: string, by = nobody): Promise<void> {
    const file = await this.#get(existing, "link", false)
    if (file.kind !== "file") throw fault("EPERM", "operation not permitted", "link", existing)
    const { folder, name, node, place } = await this.#aim(asked, "link", false)
    if (node !== undefined) throw fault("EEXIST", "file already exists", "link", asked)
    file.names++
    this.#enter(folder, name, file, place, by)
  }

  async readlink(asked: string): Promise<string> {
    const node = await this.#get(asked, "readlink", false)
    if (node.kind !== "link") throw fault("EINVAL", "invalid argument", "readlink", asked)
    return node.target
  }

  async realpath(asked: string): Promise<string> {
    const { real } = await this.#existing(asked, "realpath")
    return placeOf(real)
  }

  async utimes(asked: string, _atime: Date, mtime: Date): Promise<void> {
    ;(await this.#get(asked, "utimes")).mtime = mtime.getTime()
  }

  /** For what the shell plants before its first command. */
  mkdirSync(asked: string): void {
    this.#makeFolders(asked)
  }

  writeFileSync(asked: string, content: string | Uint8Array): void {
    this.put(asked, bytesOf(content))
  }

  // Below

  async #existing(asked: string, call: string, last = true): Promise<Found & { readonly node: Node }> {
    return present(await this.find(asked, last), call, asked)
  }

  /** Without following its last name; where it is noted what is changed, with all that it holds listed. */
  async #findWhole(asked: string, by: By): Promise<Found> {
    for (;;) {
      const found = await this.find(asked, false)
      const unlisted = found.node === undefined || !this.#isNoted(by) ? [] : unlistedOf(found.node)
      if (unlisted.length === 0) return found
      for (const folder of unlisted) await this.entries(folder)
    }
  }

  async #get(asked: string, call: string, last = true): Promise<Node> {
    return (await this.#existing(asked, call, last)).node
  }

  async #list(asked: string): Promise<ReadonlyMap<string, Node>> {
    const node = await this.#get(asked, "scandir")
    if (node.kind !== "folder") throw fault("ENOTDIR", "not a directory", "scandir", asked)
    return this.entries(node)
  }

  /** The folder and the name that something is to be made at. Its folder exists. */
  async #aim(asked: string, call: string, last = true) {
    const found = await this.find(asked, last)
    if (found.missing.length > 1) throw absent(call, asked)
    const real = [...found.real, ...found.missing]
    const name = real.at(-1)
    if (name === undefined) throw fault("EISDIR", "is a directory", call, asked)
    return { folder: found.folder, name, node: found.node, real, place: placeOf(real) }
  }

  #put(
    folder: Folder,
    name: string,
    content: Uint8Array,
    { mode, mtime }: Meta,
    asked: string,
    place: string,
    by: By
  ): void {
    const node = folder.entries!.get(name)
    // A buffer of its own, as large as what it holds: whoever gave it may go on to change it.
    const bytes = new Uint8Array(content)
    if (node !== undefined) {
      const file = fileOf(node, "open", asked)
      this.#charge(bytes.length - (file.bytes?.length ?? 0), asked)
      const was = standingOf(file)
      file.bytes = bytes
      file.mode = mode ?? file.mode
      file.mtime = mtime ?? this.#now()
      return this.#became(file, was, place, by)
    }
    this.#charge(bytes.length, asked)
    const made = this.#meta(mode ?? 0o644)
    const kept = { kind: "file", bytes, below: "", size: 0, names: 1 } as const
    this.#enter(folder, name, { ...made, mtime: mtime ?? made.mtime, ...kept }, place, by)
  }

  async #copy(
    source: Node,
    folder: Folder,
    name: string,
    there: Node | undefined,
    asked: string,
    place: string,
    by: By
  ): Promise<void> {
    if (source.kind === "link") {
      if (there !== undefined) throw fault("EEXIST", "file already exists", "cp", asked)
      this.#enter(folder, name, { ...source, id: ++this.#ids }, place, by)
    } else if (source.kind === "file") {
      const bytes = await this.bytesOf(source)
      this.#put(folder, name, bytes, there === undefined ? { mode: source.mode } : {}, asked, place, by)
    } else {
      if (there !== undefined && there.kind !== "folder") throw fault("ENOTDIR", "not a directory", "cp", asked)
      const into = there ?? this.#makeFolder(folder, name, place, by)
      await this.entries(into)
      for (const [inner, node] of await this.entries(source)) {
        const at = path.join(place, inner)
        await this.#copy(node, into, inner, into.entries!.get(inner), path.join(asked, inner), at, by)
      }
    }
  }

  #remove(folder: Folder, name: string, place: string, by: By): void {
    this.#release(this.#take(folder, name, place, by))
  }

  /** Names something in a folder, where the name is free; `was` is what it named just before. */
  #enter(folder: Folder, name: string, node: Node, place: string, by: By, was?: Standing): void {
    folder.entries!.set(name, node)
    folder.mtime = this.#now()
    if (!this.#isNoted(by)) return
    for (const [at, it] of within(place, node))
      this.changes!.note(by, at, it === node ? was : undefined, standingOf(it))
  }

  /** Takes a name out of a folder, and gives what it named. */
  #take(folder: Folder, name: string, place: string, by: By): Node {
    const node = folder.entries!.get(name)!
    folder.entries!.delete(name)
    folder.mtime = this.#now()
    if (this.#isNoted(by)) {
      for (const [at, it] of within(place, node)) this.changes!.note(by, at, standingOf(it), undefined)
    }
    return node
  }

  /** Notes that something that stays in its place is not as it was. A file has changed under each of its names. */
  #became(node: Node, was: Standing, place: string, by: By): void {
    if (!this.#isNoted(by)) return
    const is = standingOf(node)
    if (node.kind !== "file" || node.names === 1) return this.changes!.note(by, place, was, is)
    for (const [at, it] of within("/", this.#root)) if (it === node) this.changes!.note(by, at, was, is)
  }

  #isNoted(by: By): boolean {
    return by.length > 0 && this.changes !== undefined
  }

  #release(node: Node): void {
    if (node.kind === "file" && --node.names === 0) this.#bytes -= node.bytes?.length ?? 0
    if (node.kind === "folder") for (const inner of node.entries?.values() ?? []) this.#release(inner)
  }

  /** Sync, and so only for places where no link stands and no real folder that was not listed. */
  #makeFolders(place: string, by = nobody): Folder {
    let at = this.#root
    let real = ""
    for (const name of names(place)) {
      real += `/${name}`
      const node = at.entries?.get(name) ?? this.#makeFolder(at, name, real, by)
      if (node.kind !== "folder") throw fault("ENOTDIR", "not a directory", "mkdir", place)
      at = node
    }
    return at
  }

  #makeFolder(at: Folder, name: string, place: string, by: By): Folder {
    const folder: Folder = { ...this.#meta(0o755), kind: "folder", entries: new Map(), below: "" }
    this.#enter(at, name, folder, place, by)
    return folder
  }

  #meta(mode: number) {
    return { id: ++this.#ids, mode, mtime: this.#now() }
  }

  #now(): number {
    return Math.round(origin + elapsed())
  }

  #charge(bytes: number, asked: string): void {
    if (!this.#hasRoom(bytes)) throw fault("ENOSPC", "no space left on device", "write", asked)
    this.#bytes += bytes
  }

  #hasRoom(bytes: number): boolean {
    return bytes <= 0 || this.#bytes + bytes <= this.#max
  }
}

type Encoding = string | { readonly encoding?: string | null }

const names = (asked: string): Array<string> => asked.split("/").filter((name) => name !== "" && name !== ".")

const placeOf = (real: ReadonlyArray<string>): string => `/${real.join("/")}`

const present = (found: Found, call: string, asked: string): Found & { readonly node: Node } => {
  if (found.node === undefined) throw absent(call, asked)
  return found as Found & { readonly node: Node }
}

/** A node and all that it holds, as far as that was listed; folders before what they hold. */
function* within(place: string, node: Node): Iterable<readonly [place: string, node: Node]> {
  yield [place, node]
  if (node.kind !== "folder") return
  for (const [name, inner] of node.entries ?? []) yield* within(path.join(place, name), inner)
}

/** The folders at and below a node that were not listed yet. */
const unlistedOf = (node: Node): ReadonlyArray<Folder> =>
  [...within("/", node)]
    .map(([, it]) => it)
    .filter((it) => it.kind === "folder" && it.entries === undefined) as Array<Folder>

/** Bytes for a file of the tree: not those in a buffer that has room, where appending to them would change others. */
const lasting = (bytes: Uint8Array | undefined): Uint8Array | undefined =>
  bytes === undefined || bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes)

const encodingOf = (options: Encoding | undefined): BufferEncoding =>
  ((typeof options === "string" ? options : options?.encoding) ?? "utf8") as BufferEncoding

const bytesOf = (content: string | Uint8Array, options?: Encoding): Uint8Array =>
  typeof content === "string" ? Buffer.from(content, encodingOf(options)) : content

/** The bytes with more behind them, in the same buffer while that has room: appending a line costs what the line has. */
const grown = (bytes: Uint8Array, added: Uint8Array): Uint8Array => {
  const length = bytes.length + added.length
  let room = new Uint8Array(bytes.buffer)
  if (bytes.byteOffset > 0 || room.length < length) {
    room = new Uint8Array(Math.max(length, Math.min(2 * length, length + 1024 * 1024)))
    room.set(bytes)
  }
  room.set(added, bytes.length)
  return room.subarray(0, length)
}

const fileOf = (node: Node, call: string, asked: string): File => {
  if (node.kind === "folder") throw fault("EISDIR", "illegal operation on a directory", call, asked)
  if (node.kind === "link") throw absent(call, asked)
  return node
}

const typesOf = (node: Node) => ({
  isFile: node.kind === "file",
  isDirectory: node.kind === "folder",
  isSymbolicLink: node.kind === "link"
})

export const sizeOf = (node: Node): number =>
  node.kind === "file" ? (node.bytes?.length ?? node.size) : node.kind === "link" ? Buffer.byteLength(node.target) : 0

const statOf = (node: Node): FsStat => ({
  ...typesOf(node),
  mode: node.mode,
  size: sizeOf(node),
  // @effect-diagnostics-next-line globalDate:off -- The shell takes times in this form.
  mtime: new Date(node.mtime),
  identity: `tree:${node.id}`
})

/** An error as Node words it: the shell's commands tell what happened by its first word. */
const fault = (code: string, words: string, call: string, asked: string): Error =>
  Object.assign(new Error(`${code}: ${words}, ${call} '${asked}'`), { code })

const absent = (call: string, asked: string): Error => fault("ENOENT", "no such file or directory", call, asked)
