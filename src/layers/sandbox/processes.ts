/**
 * Ending everything that a command has started.
 *
 * A command's shell leads a process group and a session of its own. Programs such as `timeout` put their children into
 * further groups, and daemons begin a session of their own; on Linux all are found by what /proc tells of them.
 */
import * as fs from "node:fs"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** By what the processes of a command are known. */
export interface Marks {
  /** The process that leads the group and the session. */
  readonly leader: number
  /** A text in the value of the environment variable `mark`, that no other command has. */
  readonly token: string
  /** When the leader was started, by the machine's clock, in milliseconds, and by /proc; the latter 0 where there is none. */
  readonly since: number
  readonly birth: number
  /** What its outputs are, such as `socket:[1234]`, where that is known for certain. */
  readonly outputs: ReadonlySet<string>
}

/** Marks a process that has just been started. */
export const marksOf = (leader: number, token: string): Marks => ({
  leader,
  token,
  since: machine.unsafeCurrentTimeMillis(),
  birth: Number(statOf(leader)[birthAt] ?? 0),
  outputs: new Set(
    [1, 2].map((fd) => linkOf(`/proc/${leader}/fd/${fd}`) ?? "").filter((at) => /^(?:socket|pipe):\[\d+\]$/.test(at))
  )
})

/** Processes live in real time, whatever clock the program runs on. */
const machine = Clock.make()

/** The environment variable by which what left its session is found. */
export const mark = "BATON_EXEC"

/**
 * Sends SIGTERM to all that is left of a command, SIGKILL to what is still there after `grace` milliseconds, and ends
 * when nothing is left. What SIGKILL cannot end within 2 seconds (a process of another user, or one stuck in the
 * kernel) is given up.
 *
 * On Linux these are the processes of the group and of the session, those that have the token in the environment that
 * they were started with, and the children of all of them, also when the parent has ended on the signal. Elsewhere it is
 * the group alone.
 */
export const endAll = (marks: Marks, grace: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    const known: Known = new Map()
    return end(() => members(marks, known), grace)
  })

/** The same for the processes that hold an output of the leader open: they cleared their environment. */
export const endHolders = (marks: Marks, grace: number): Effect.Effect<void> => end(() => holders(marks), grace)

/** Whom to signal: processes, and groups as negative numbers. */
type Look = () => ReadonlyArray<number>

const end = (look: Look, grace: number): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (yield* send(look, "SIGTERM", grace)) return
    yield* send(look, "SIGKILL", 2_000)
  }).pipe(Effect.withClock(machine))

/** Signals all that is left, again and again as it may be forking, until nothing is left or the time is over. */
const send = Effect.fnUntraced(function* (look: Look, signal: NodeJS.Signals, patience: number) {
  let told: ReadonlySet<number> = new Set()
  for (let waited = 0, pause = 1; ; waited += pause, pause = Math.min(2 * pause, 25)) {
    const left = look()
    if (left.length === 0) return true
    if (waited >= patience) return false
    for (const id of left) if (signal === "SIGKILL" || !told.has(id)) kill(id, signal)
    told = new Set(left)
    yield* Effect.sleep(pause)
  }
})

/** When each process was started that was found, by its id. */
type Known = Map<number, number>

/**
 * What is left of a command, those included that were found before: whose parent has ended since are nobody's children
 * any more. Groups are signalled as such, since no member can fork out of the way of that.
 */
const members = (marks: Marks, known: Known): ReadonlyArray<number> => {
  const all = processes(marks)
  if (all === undefined) return kill(-marks.leader, 0) ? [-marks.leader] : []
  const found = new Set<number>()
  for (const { birth, isMarked, pid } of all) if (isMarked || known.get(pid) === birth) found.add(pid)
  for (let before = 0; before < found.size;) {
    before = found.size
    for (const { parent, pid } of all) if (found.has(parent)) found.add(pid)
  }
  for (const { birth, pid } of all) if (found.has(pid)) known.set(pid, birth)
  // Whoever is in a group with a descendant is one as well: a group lies within a session, and theirs are their own.
  return [...new Set(all.filter(({ pid }) => found.has(pid)).map(({ group, pid }) => (group > 1 ? -group : pid)))]
}

const holders = (marks: Marks): ReadonlyArray<number> =>
  (processes(marks) ?? [])
    .filter(({ birth, pid }) => birth >= marks.birth && holdsAny(pid, marks.outputs))
    .map(({ pid }) => pid)

interface Process {
  readonly pid: number
  readonly parent: number
  readonly group: number
  /** When it was started, in ticks since the machine was. */
  readonly birth: number
  /** It is of the command's group or session, or has its token. */
  readonly isMarked: boolean
}

/**
 * The living processes that may be of a command, by /proc; `undefined` where there is none. Looks again for those born
 * meanwhile, five times at most: a process that forks and ends while one looks is seen neither before nor after.
 */
const processes = (marks: Marks): ReadonlyArray<Process> | undefined => {
  let before = newest()
  if (before === undefined) return undefined
  // Ids are given out in rising order, so descendants stand above the leader unless the numbers began anew.
  const age = machine.unsafeCurrentTimeMillis() - marks.since
  let from = before >= marks.leader && age < horizon() ? marks.leader : 0
  const found: Array<Process> = []
  for (let times = 0; times < 5; times++) {
    for (const name of fs.readdirSync("/proc")) {
      const pid = Number(name)
      const one = pid >= from && pid !== process.pid ? processOf(pid, marks) : undefined
      if (one !== undefined) found.push(one)
    }
    const after: number = newest() ?? before
    if (after === before) break
    from = after > before ? before + 1 : 0
    before = after
  }
  return found
}

/** A zombie is none: in a container without an init nobody may ever collect it. */
const processOf = (pid: number, marks: Marks): Process | undefined => {
  const stat = statOf(pid)
  const [state, parent, group, session] = stat
  if (state === undefined || state === "Z" || state === "X") return undefined
  const birth = Number(stat[birthAt])
  const isNear = Number(group) === marks.leader || Number(session) === marks.leader
  const isMarked = isNear || (birth >= marks.birth && hasToken(pid, marks.token))
  return { pid, parent: Number(parent), group: Number(group), birth, isMarked }
}

/**
 * How long the numbers of processes last before they begin anew, in milliseconds: no machine gives out ten of them in
 * each, for long.
 */
const horizon = (): number => (lasting ??= Number(textOf("/proc/sys/kernel/pid_max") ?? 0) / 10)
let lasting: number | undefined

/** The id that was given out last. */
const newest = (): number | undefined => {
  const text = textOf("/proc/loadavg")
  return text === undefined ? undefined : Number(text.trim().split(" ")[4])
}

/** Where the time of birth stands in what `statOf` gives: it is the 22nd field, and the state the third. */
const birthAt = 19

/** State, parent, group, session and so on to the birth of a process, by proc(5); nothing where it is gone. */
const statOf = (pid: number): ReadonlyArray<string> => {
  const stat = textOf(`/proc/${pid}/stat`) ?? ""
  // The command's name stands in parentheses and may itself hold any character.
  return stat === "" ? [] : stat.slice(stat.lastIndexOf(")") + 2).split(" ", birthAt + 1)
}

/** Looks once more where the environment is empty, as it is for an instant while a program is started. */
const hasToken = (pid: number, token: string): boolean =>
  (textOf(`/proc/${pid}/environ`) || textOf(`/proc/${pid}/environ`) || "").includes(token)

const holdsAny = (pid: number, held: ReadonlySet<string>): boolean => {
  try {
    return fs.readdirSync(`/proc/${pid}/fd`).some((fd) => held.has(linkOf(`/proc/${pid}/fd/${fd}`) ?? ""))
  } catch {
    return false
  }
}

/** What a file of /proc says; nothing where the process is gone, is another user's, or there is no /proc. */
const textOf = (at: string): string | undefined => {
  let fd: number | undefined
  try {
    fd = fs.openSync(at, "r")
    let text = ""
    for (;;) {
      const count = fs.readSync(fd, page, 0, page.length, null)
      text += page.toString("latin1", 0, count)
      if (count < page.length) return text
    }
  } catch {
    return undefined
  } finally {
    if (fd !== undefined) fs.closeSync(fd)
  }
}

/** Into which everything is read: `readFileSync` takes twice the time for files as small as these. */
const page = Buffer.allocUnsafeSlow(16 * 1024)

const linkOf = (at: string): string | undefined => {
  try {
    return fs.readlinkSync(at)
  } catch {
    return undefined
  }
}

/** Whether there was somebody to signal. */
const kill = (id: number, signal: NodeJS.Signals | 0): boolean => {
  try {
    process.kill(id, signal)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH"
  }
}
