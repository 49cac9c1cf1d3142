/**
 * A tree as a command of somebody's sees it: what it changes there is changed for them.
 */
import type { IFileSystem } from "./justBash.js"
import type { By, Tree } from "./Tree.js"

type Args<Name extends keyof IFileSystem> = Parameters<Extract<IFileSystem[Name], (...args: never) => unknown>>

export class Hand implements IFileSystem {
  constructor(
    private readonly tree: Tree,
    private readonly by: By
  ) {}

  readFile(...args: Parameters<Tree["readFile"]>): Promise<string> {
    return this.tree.readFile(...args)
  }

  readFileBuffer(asked: string): Promise<Uint8Array> {
    return this.tree.readFileBuffer(asked)
  }

  writeFile(...[asked, content, options]: Args<"writeFile">): Promise<void> {
    return this.tree.writeFile(asked, content, options, this.by)
  }

  appendFile(...[asked, content, options]: Args<"appendFile">): Promise<void> {
    return this.tree.appendFile(asked, content, options, this.by)
  }

  exists(asked: string): Promise<boolean> {
    return this.tree.exists(asked)
  }

  stat(asked: string): ReturnType<Tree["stat"]> {
    return this.tree.stat(asked)
  }

  lstat(asked: string): ReturnType<Tree["lstat"]> {
    return this.tree.lstat(asked)
  }

  mkdir(...[asked, options]: Args<"mkdir">): Promise<void> {
    return this.tree.mkdir(asked, options, this.by)
  }

  readdir(asked: string): Promise<Array<string>> {
    return this.tree.readdir(asked)
  }

  readdirWithFileTypes(asked: string): ReturnType<Tree["readdirWithFileTypes"]> {
    return this.tree.readdirWithFileTypes(asked)
  }

  rm(...[asked, options]: Args<"rm">): Promise<void> {
    return this.tree.rm(asked, options, this.by)
  }

  cp(...[from, to, options]: Args<"cp">): Promise<void> {
    return this.tree.cp(from, to, options, this.by)
  }

  mv(from: string, to: string): Promise<void> {
    return this.tree.mv(from, to, this.by)
  }

  resolvePath(base: string, asked: string): string {
    return this.tree.resolvePath(base, asked)
  }

  getAllPaths(): Array<string> {
    return this.tree.getAllPaths()
  }

  chmod(asked: string, mode: number): Promise<void> {
    return this.tree.chmod(asked, mode, this.by)
  }

  symlink(target: string, asked: string): Promise<void> {
    return this.tree.symlink(target, asked, this.by)
  }

  link(existing: string, asked: string): Promise<void> {
    return this.tree.link(existing, asked, this.by)
  }

  readlink(asked: string): Promise<string> {
    return this.tree.readlink(asked)
  }

  realpath(asked: string): Promise<string> {
    return this.tree.realpath(asked)
  }

  utimes(...args: Parameters<Tree["utimes"]>): Promise<void> {
    return this.tree.utimes(...args)
  }

  /** What the shell plants before its first command is nobody's. */
  mkdirSync(asked: string): void {
    this.tree.mkdirSync(asked)
  }

  writeFileSync(asked: string, content: string | Uint8Array): void {
    this.tree.writeFileSync(asked, content)
  }
}
