/** The folder's `.skeinignore`, read again whenever the file on the disk is another one. */
import { type FileStat, type Filesystem, sameSignature } from './filesystem.ts'
import { type IgnoreRules, parseIgnoreRules } from './ignore.ts'
import { ignoreFile } from './names.ts'

export interface IgnoreReader {
  readonly rules: () => IgnoreRules
  readonly text: () => string
  refresh(): Promise<void>
}

export function createIgnoreReader(filesystem: Filesystem, onChanged: () => void): IgnoreReader {
  const maxBytes = 1024 * 1024
  let rules = parseIgnoreRules('')
  let text = ''
  let isRead = false
  let seen: FileStat | undefined
  return {
    rules: () => rules,
    text: () => text,
    async refresh() {
      const stat = await filesystem.lstat(ignoreFile)
      const isFirst = !isRead
      isRead = true
      if (stat === seen || (stat !== undefined && seen !== undefined && sameSignature(stat, seen))) return
      text = ''
      if (stat?.kind === 'file' && stat.size <= maxBytes) {
        await using file = await filesystem.open(ignoreFile, 'read')
        const bytes = new Uint8Array(stat.size)
        text = new TextDecoder().decode(bytes.subarray(0, await file.read(bytes, 0)))
      }
      seen = stat
      rules = parseIgnoreRules(text)
      // Nothing was decided by other rules yet
      if (!isFirst) onChanged()
    },
  }
}
