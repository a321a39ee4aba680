/** The folder's `.skeinignore`, read again whenever the file on the disk is another one. */
import { type FileStat, type Filesystem, sameSignature } from './filesystem.ts'
import { type IgnoreRules, parseIgnoreRules } from './ignore.ts'
import { ignoreFile } from './names.ts'

export interface IgnoreReader {
  readonly rules: () => IgnoreRules
  refresh(): Promise<void>
}

export function createIgnoreReader(filesystem: Filesystem, onChanged: () => void): IgnoreReader {
  const maxBytes = 1024 * 1024
  let rules = parseIgnoreRules('')
  let seen: FileStat | undefined
  return {
    rules: () => rules,
    async refresh() {
      const stat = await filesystem.lstat(ignoreFile)
      if (stat === seen || (stat !== undefined && seen !== undefined && sameSignature(stat, seen))) return
      let text = ''
      if (stat?.kind === 'file' && stat.size <= maxBytes) {
        await using file = await filesystem.open(ignoreFile, 'read')
        const bytes = new Uint8Array(stat.size)
        text = new TextDecoder().decode(bytes.subarray(0, await file.read(bytes, 0)))
      }
      seen = stat
      rules = parseIgnoreRules(text)
      onChanged()
    },
  }
}
