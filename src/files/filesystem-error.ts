/** System error codes as operating errors with a cause a person understands and the fix. */
import { SkeinError, type ErrorCode } from '../base/errors.ts'

const meanings: Readonly<Record<string, readonly [ErrorCode, string, string]>> = {
  ENOENT: ['not.found', 'it is not there', ''],
  ENOTDIR: ['not.found', 'a part of its path is no directory', ''],
  EISDIR: ['file.changed', 'it is a directory', ''],
  ELOOP: ['file.unsafe', 'a part of its path is a symbolic link', 'replace the link by a directory'],
  EEXIST: ['file.exists', 'something is already there', ''],
  ENOTEMPTY: ['file.exists', 'the directory is not empty', ''],
  EACCES: ['file.denied', 'permission denied', 'give your user access to it (chmod, chown)'],
  EPERM: ['file.denied', 'the system refuses it', 'check attributes and ownership (lsattr, ls -l)'],
  EROFS: ['file.denied', 'the disk is read-only', 'mount it writable'],
  ENOSPC: ['disk.full', 'the disk is full', 'free some space; the file follows by itself'],
  EDQUOT: ['disk.full', 'the disk quota is used up', 'free some space; the file follows by itself'],
  EFBIG: ['file.unsupported', 'this disk cannot hold a file that large', 'use another file system'],
  EMFILE: ['limit.exceeded', 'too many open files', 'raise ulimit -n'],
  ENFILE: ['limit.exceeded', 'the system has too many open files', 'close some programs'],
  ENAMETOOLONG: ['file.unsafe', 'its name is too long for this disk', 'shorten the name'],
  EXDEV: ['file.unsupported', 'it lies on another disk', 'share that disk as a space of its own'],
  ENOTSUP: ['file.unsupported', 'this disk does not support it', ''],
  EMLINK: ['file.unsupported', 'the file has too many links', ''],
  EINVAL: ['file.unsafe', 'this disk refuses the name or operation', 'rename the file'],
  EBUSY: ['file.busy', 'another program holds it', 'close the program that uses it'],
  ETXTBSY: ['file.busy', 'it is being executed', 'stop the program'],
  EIO: ['disk.failed', 'the disk reported an error', 'check the disk (dmesg, smartctl)'],
}

/** @param doing what was tried, as "read" or "rename"; the path goes to the message, never a log key. */
export function filesystemError(error: unknown, doing: string, path: string): SkeinError {
  if (error instanceof SkeinError) return error
  const system = error instanceof Error && 'code' in error ? String(error.code) : ''
  const meaning = meanings[system]
  const place = path === '' ? 'the folder' : `"${path}"`
  if (meaning === undefined)
    return new SkeinError('internal', `cannot ${doing} ${place}: ${system || String(error)}`, {
      cause: error,
    })
  const [code, why, fix] = meaning
  return new SkeinError(
    code,
    `cannot ${doing} ${place}: ${why}`,
    fix === '' ? { cause: error } : { cause: error, fix },
  )
}
