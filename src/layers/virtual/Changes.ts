/**
 * What was changed in a tree, by whom, and at which places of their histories.
 *
 * One change is of one path: how it stood before and after. Changes of a path that follow each other at the same places
 * are one. The oldest go when they take more than they may; what is kept of them is that they were.
 */
import { isSame, type Standing } from "./standing.js"

/** A session that something is changed for. */
export interface Author {
  /** Its incarnation. */
  readonly session: string
  /** The place that its next entry has; `undefined` for what lies on no way to any point, which a restoring is. */
  readonly place: number | undefined
}

export interface Change {
  readonly by: ReadonlyArray<Author>
  readonly path: string
  readonly before: Standing
  after: Standing
}

/** What is known of one path that a session changed. */
export interface OfPath {
  /** The oldest first. */
  readonly changes: ReadonlyArray<Change>
  /** Whether there may have been older ones. */
  readonly forgotten: boolean
}

/** What a change counts besides the contents, its path and its authors, in bytes: about what its objects take. */
const flat = 400

/** What an author of a change counts, in bytes. */
const perAuthor = 100

/** How many paths are remembered of which changes were dropped. */
const maxForgotten = 100_000

interface Session {
  readonly paths: Map<string, Array<Change>>
  readonly forgotten: Set<string>
  /** Whether there may be paths that it changed and that are not known any more. */
  lost: boolean
}

export class Changes {
  /** The oldest first. */
  readonly #all = new Set<Change>()
  readonly #last = new Map<string, Change>()
  readonly #sessions = new Map<string, Session>()
  /** How often contents are named: those that share a buffer take its bytes once. */
  readonly #buffers = new Map<ArrayBufferLike, number>()
  readonly #max: number
  readonly #maxForgotten: number
  #taken = 0
  #forgotten = 0
  /** Whether there may be sessions that are not known any more. */
  #lost = false

  /** Takes about `max` bytes, contents that the tree still holds included. */
  constructor(max: number, forgotten = maxForgotten) {
    this.#max = max
    this.#maxForgotten = forgotten
  }

  /** In bytes. */
  get taken(): number {
    return this.#taken
  }

  /** Takes note of a change; of none where it left what was there. */
  note(by: ReadonlyArray<Author>, path: string, before: Standing, after: Standing): void {
    if (isSame(before, after)) return
    const last = this.#last.get(path)
    if (last !== undefined && isBySame(last.by, by)) {
      this.#hold(after)
      this.#free(last.after)
      last.after = after
    } else {
      const change = { by, path, before, after }
      this.#all.add(change)
      this.#last.set(path, change)
      this.#taken += sizeOf(change)
      this.#hold(before)
      this.#hold(after)
      for (const { session } of by) {
        const { paths } = this.#session(session)
        const changes = paths.get(path)
        if (changes === undefined) paths.set(path, [change])
        else changes.push(change)
      }
    }
    for (const oldest of this.#all) {
      if (this.#taken <= this.#max) break
      this.#drop(oldest)
    }
  }

  /** The places at which a session changed something, as far as that is known. */
  places(session: string): ReadonlySet<number> {
    const places = new Set<number>()
    for (const changes of this.#sessions.get(session)?.paths.values() ?? []) {
      for (const { by } of changes) {
        const place = by.find((author) => author.session === session)?.place
        if (place !== undefined) places.add(place)
      }
    }
    return places
  }

  /** The paths that a session changed, as far as they are known, and whether there may be others. */
  of(session: string): { readonly paths: ReadonlyMap<string, OfPath>; readonly lost: boolean } {
    const it = this.#sessions.get(session)
    if (it === undefined) return { paths: new Map(), lost: this.#lost }
    const paths = new Map<string, OfPath>()
    for (const path of it.forgotten) paths.set(path, { changes: [], forgotten: true })
    for (const [path, changes] of it.paths) {
      paths.set(path, { changes, forgotten: it.lost || it.forgotten.has(path) })
    }
    return { paths, lost: it.lost }
  }

  #session(session: string): Session {
    let it = this.#sessions.get(session)
    if (it === undefined) {
      it = { paths: new Map(), forgotten: new Set(), lost: this.#lost }
      this.#sessions.set(session, it)
    }
    return it
  }

  #drop(oldest: Change): void {
    const { after, before, by, path } = oldest
    this.#all.delete(oldest)
    if (this.#last.get(path) === oldest) this.#last.delete(path)
    this.#taken -= sizeOf(oldest)
    this.#free(before)
    this.#free(after)
    for (const { session } of by) {
      const { forgotten, paths } = this.#session(session)
      const changes = paths.get(path)!
      changes.shift()
      if (changes.length === 0) paths.delete(path)
      if (!forgotten.has(path)) this.#forgotten++
      forgotten.add(path)
    }
    for (const [id, session] of this.#sessions) {
      if (this.#forgotten <= this.#maxForgotten) break
      if (session.forgotten.size === 0) continue
      this.#forgotten -= session.forgotten.size
      session.forgotten.clear()
      session.lost = true
      if (session.paths.size > 0) continue
      this.#sessions.delete(id)
      this.#lost = true
    }
  }

  #hold(standing: Standing): void {
    const bytes = standing?.kind === "file" ? standing.bytes : undefined
    if (bytes === undefined) return
    const times = this.#buffers.get(bytes.buffer) ?? 0
    if (times === 0) this.#taken += bytes.buffer.byteLength
    this.#buffers.set(bytes.buffer, times + 1)
  }

  #free(standing: Standing): void {
    const bytes = standing?.kind === "file" ? standing.bytes : undefined
    if (bytes === undefined) return
    const times = this.#buffers.get(bytes.buffer)! - 1
    if (times > 0) this.#buffers.set(bytes.buffer, times)
    else {
      this.#buffers.delete(bytes.buffer)
      this.#taken -= bytes.buffer.byteLength
    }
  }
}

const isBySame = (a: ReadonlyArray<Author>, b: ReadonlyArray<Author>): boolean =>
  a.length === b.length && a.every(({ place, session }, i) => b[i]!.session === session && b[i]!.place === place)

const sizeOf = ({ by, path }: Change): number => flat + 2 * path.length + perAuthor * by.length
