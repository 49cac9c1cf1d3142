/**
 * A sandbox in memory: files and a shell that are no place of this machine. It needs the package `just-bash`.
 */
export * as VirtualSandbox from "./layers/VirtualSandbox.js"
