/**
 * Two folders in a process that may do less than the test that starts it: `node limited-process.ts SCENE`. Prints what it found
 * as JSON; a scene that does not come to its end fails.
 */
import { appendFile, chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createPair, type Device, picture, until as untilWithin } from '../support/two-folders.ts'

const until = (check: () => Promise<boolean> | boolean, devices: readonly Device[]): Promise<void> =>
  untilWithin(check, devices, 40_000)

/** Files and directories that this process may not read or write, on either side. */
async function unreadable(): Promise<unknown> {
  await using pair = await createPair()
  const { a, b } = pair
  const shows = async (name: string, text: string): Promise<boolean> => (await picture(b.root))[name] === text
  const problems = (device: Device): readonly string[] =>
    device.folder.status().problems.map(({ path, cause, fix }) => `${path}: ${cause}; ${fix}`)
  for (const name of ['good', 'secret']) await writeFile(join(a.root, name), name)
  await mkdir(join(a.root, 'closed'))
  await writeFile(join(a.root, 'closed/inside'), 'inside')
  await mkdir(join(a.root, 'open'))
  await chmod(join(a.root, 'secret'), 0)
  await chmod(join(a.root, 'closed'), 0)
  await a.restart()
  await until(() => shows('good', 'good'), [b])
  await until(() => problems(a).length >= 2, [b])
  const atSender = problems(a)
  await chmod(join(a.root, 'secret'), 0o600)
  await chmod(join(a.root, 'closed'), 0o700)
  await until(() => shows('secret', 'secret'), [a, b])
  await until(() => shows('closed/inside', 'inside'), [a, b])
  // The person at the other side locks what is about to change
  await chmod(join(b.root, 'good'), 0)
  await chmod(join(b.root, 'open'), 0o555)
  await appendFile(join(a.root, 'good'), ', edited')
  await writeFile(join(a.root, 'open/new'), 'new')
  await writeFile(join(a.root, 'last'), 'last')
  await until(async () => (await readFile(join(b.root, 'last'), 'utf8').catch(() => '')) === 'last', [])
  await until(() => problems(b).length >= 2, [])
  const atReceiver = problems(b)
  await chmod(join(b.root, 'good'), 0o600)
  await chmod(join(b.root, 'open'), 0o755)
  await until(() => shows('good', 'good, edited'), [a, b])
  await until(() => shows('open/new', 'new'), [a, b])
  await until(() => problems(a).length + problems(b).length === 0, [a, b])
  return { atSender, atReceiver, deletions: [a, b].map((one) => one.folder.status().heldDeletions) }
}

/** More directories than the system has watches left. */
async function fewWatches(): Promise<unknown> {
  await writeFile('/proc/sys/user/max_inotify_watches', '12')
  await using pair = await createPair()
  const { a, b } = pair
  const directories = Array.from({ length: 30 }, (_, index) => `directory ${index}`)
  for (const directory of directories) {
    await mkdir(join(a.root, directory))
    await writeFile(join(a.root, directory, 'file'), 'first')
  }
  const all = (text: string) => async (): Promise<boolean> => {
    const shown = await picture(b.root)
    return directories.every((directory) => shown[`${directory}/file`] === text)
  }
  await until(all('first'), [a, b])
  const { watching } = a.folder.status()
  for (const directory of directories) await writeFile(join(a.root, directory, 'file'), 'second')
  await until(all('second'), [a, b])
  return { watching }
}

const scenes: Readonly<Record<string, () => Promise<unknown>>> = { unreadable, fewWatches }
const scene = scenes[process.argv[2] ?? '']
if (scene === undefined) throw new Error(`scenes: ${Object.keys(scenes).join(', ')}`)
console.log(JSON.stringify(await scene()))
process.exit(0)
