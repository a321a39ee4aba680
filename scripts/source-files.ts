/** Reads the project's own source files from disk; generated and installed files stay out. */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { SourceFile } from './tidy-check.ts'

const folders = ['src', 'test', 'bench', 'simulations', 'scripts', 'bin']

/** @returns all `.ts`, `.tsx` and `.js` files under the project's folders, with paths relative to `root`. */
export function readSourceFiles(root: string): readonly SourceFile[] {
  return folders
    .flatMap((folder) => listFiles(root, folder))
    .filter((path) => /\.[jt]sx?$/.test(path))
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }))
}

function listFiles(root: string, folder: string): readonly string[] {
  let entries
  try {
    entries = readdirSync(join(root, folder), { withFileTypes: true })
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
  return entries.flatMap((entry) => {
    const path = `${folder}/${entry.name}`
    return entry.isDirectory() ? listFiles(root, path) : [path]
  })
}
