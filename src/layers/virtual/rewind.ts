/**
 * Brings what a session changed back to how it was at a point of its history.
 */
import * as path from "node:path/posix"
import type { Restored } from "../../services/Sandbox.js"
import type { Author, Changes, OfPath } from "./Changes.js"
import { isSame, type Standing } from "./standing.js"
import type { Tree } from "./Tree.js"

export interface Rewind {
  readonly session: string
  /** For whom the restoring counts: the session itself, at no place, and those that it is done under. */
  readonly by: ReadonlyArray<Author>
  /** The places of the session of which it is known whether they lie on the way to the point, and those that do. */
  readonly known: ReadonlyArray<number>
  readonly onPath: ReadonlyArray<number>
}

/** Gives the places that it has to know of instead, where there are others than it was told of: nothing is changed then. */
export type Rewound = Restored | { readonly places: ReadonlyArray<number> }

/** `current` gives the tree that the sandbox has now. */
export const rewind = async (
  current: () => Tree,
  root: string,
  { by, known, onPath, session }: Rewind
): Promise<Rewound> => {
  const told = new Set(known)
  const on = new Set(onPath)
  for (;;) {
    const tree = current()
    const { changes } = tree
    if (changes === undefined) return { restored: [], conflicts: [] }
    for (const place of changes.of(session).paths.keys()) await tree.lookAt(place)
    // From here on nothing is waited for; a snapshot may have been restored until now.
    if (current() !== tree) continue
    const places = [...changes.places(session)]
    if (places.some((place) => !told.has(place))) return { places }
    const it = new Step(tree, changes, by, root)
    if (it.plan(session, on)) return it.run()
  }
}

/** What is to stand at a path in place of what does. */
interface Planned {
  readonly path: string
  readonly is: Standing
  readonly becomes: Standing
}

class Step {
  private planned: Array<Planned> = []
  private readonly conflicts: Array<{ readonly path: string; readonly reason: string }> = []

  constructor(
    private readonly tree: Tree,
    private readonly changes: Changes,
    private readonly by: ReadonlyArray<Author>,
    private readonly root: string
  ) {}

  /** Says what is to become of each path; `false` where a folder of the real one has to be listed first. */
  plan(session: string, on: ReadonlySet<number>): boolean {
    const { lost, paths } = this.changes.of(session)
    if (lost) this.conflict(this.root, "older changes are not kept any more")
    for (const [place, of] of paths) {
      const found = this.tree.standing(place)
      if (found === "unlisted") return false
      const is = found.standing
      const wanted = wantedOf(of, session, on)
      if (wanted === undefined) this.conflict(place, "how it was is not kept any more")
      else if (isSame(is, wanted.standing)) continue
      else if (!isSame(is, of.changes.at(-1)!.after)) this.conflict(place, "it was changed by somebody else since")
      else this.planned.push({ path: place, is, becomes: wanted.standing })
    }
    this.planned.sort((a, b) => (a.path < b.path ? -1 : 1))
    return true
  }

  /** What goes goes from the innermost on, and what comes comes after the folder that it stands in. */
  run(): Restored {
    const restored: Array<string> = []
    const remaining: Array<Planned & { readonly putBack: () => void }> = []
    for (const it of this.planned.toReversed()) {
      const goes = it.is !== undefined && it.is.kind !== it.becomes?.kind
      const putBack = goes ? this.tree.takeAway(it.path) : nothing
      if (putBack === undefined) this.conflict(it.path, "it holds something that the session did not put there")
      else remaining.push({ ...it, putBack })
    }
    for (const { becomes, is, path: place, putBack } of remaining.toReversed()) {
      const refused = becomes === undefined ? undefined : this.tree.stand(place, becomes)
      if (refused !== undefined) {
        putBack()
        this.conflict(place, refused)
        continue
      }
      this.changes.note(this.by, place, is, this.standing(place))
      restored.push(this.named(place))
    }
    return { restored: restored.toSorted(), conflicts: this.conflicts.toSorted((a, b) => (a.path < b.path ? -1 : 1)) }
  }

  private standing(place: string): Standing {
    const found = this.tree.standing(place)
    return found === "unlisted" ? undefined : found.standing
  }

  private conflict(place: string, reason: string): void {
    this.conflicts.push({ path: this.named(place), reason })
  }

  private named(place: string): string {
    const inside = path.relative(this.root, place)
    return inside === ".." || inside.startsWith("../") ? place : inside || "."
  }
}

const nothing = (): void => {}

/** How a path stood at a point: as the last change on the way to it left it, or as it was before the first. */
const wantedOf = (
  { changes, forgotten }: OfPath,
  session: string,
  on: ReadonlySet<number>
): { readonly standing: Standing } | undefined => {
  const last = changes.findLast(({ by }) => {
    const place = by.find((author) => author.session === session)?.place
    return place !== undefined && on.has(place)
  })
  if (last !== undefined) return { standing: last.after }
  return forgotten ? undefined : { standing: changes[0]!.before }
}
