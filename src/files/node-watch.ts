/** One watch of the operating system on a directory, as the Filesystem seam has it. */
import * as fs from 'node:fs'
import { SkeinError } from '../base/errors.ts'
import type { ContainedRoot } from './contained-path.ts'
import { filesystemError } from './filesystem-error.ts'
import type { WatchEvent } from './filesystem.ts'

/** inotify watches one directory at a time; FSEvents and ReadDirectoryChangesW a whole tree. */
export const watchesTrees = process.platform === 'darwin' || process.platform === 'win32'

export function watchDirectory(
  contained: ContainedRoot,
  path: string,
  listener: (event: WatchEvent) => void,
): Disposable {
  let watcher: fs.FSWatcher
  try {
    watcher = contained.within(path, (absolute) =>
      fs.watch(absolute, { persistent: false, recursive: watchesTrees }),
    )
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOSPC' || code === 'EMFILE') {
      throw new SkeinError('limit.exceeded', 'the system has no file watches left', {
        cause: error,
        fix: 'raise fs.inotify.max_user_watches; until then the folder is polled',
      })
    }
    throw filesystemError(error, 'watch', path)
  }
  watcher.on('change', (_kind, name) =>
    listener({
      kind: 'changed',
      name: typeof name === 'string' ? name.replaceAll('\\', watchesTrees ? '/' : '\\') : undefined,
    }),
  )
  watcher.on('error', () => listener({ kind: 'ended' }))
  watcher.on('close', () => listener({ kind: 'ended' }))
  return {
    [Symbol.dispose]: () => {
      watcher.removeAllListeners()
      watcher.close()
    },
  }
}
