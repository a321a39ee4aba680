/**
 * `npm run demo`: two peers with their own homes on this machine, loopback only. They pair by a code, share a real
 * folder both ways, merge what they edited apart, decide a conflict, and share the clipboard; every line shows the
 * command a person would type. Everything is removed at
 * the end and on Ctrl-C; `--keep` leaves it running and says how to stop it.
 */
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const entry = fileURLToPath(new URL('../bin/skein.js', import.meta.url))
const isKept = process.argv.includes('--keep')
const root = await mkdtemp(join(tmpdir(), 'skein-demo-'))
const homes = { alice: join(root, 'home-alice'), bob: join(root, 'home-bob') }
const folders = { alice: join(root, 'alice'), bob: join(root, 'bob') }
type Who = keyof typeof homes

const colour = process.stdout.isTTY && process.env['NO_COLOR'] === undefined
const dim = (text: string): string => (colour ? `\u001b[2m${text}\u001b[0m` : text)
const bold = (text: string): string => (colour ? `\u001b[1m${text}\u001b[0m` : text)
const heading = (text: string): void => console.log(`\n${bold(text)}`)

const skein = (who: Who, ...args: readonly string[]): Promise<string> =>
  new Promise((resolve, reject) => {
    if (args[0] !== 'spaces' || !args.includes('--json'))
      console.log(dim(`  ${who} $ skein ${args.join(' ')}`))
    const child = spawn(process.execPath, [entry, ...args, '--home', homes[who]], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let [output, errors] = ['', '']
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
    child.once('error', reject)
    child.once('close', (code) => (code === 0 ? resolve(output.trim()) : reject(new Error(errors + output))))
  })

const show = (text: string): void => {
  for (const line of text.split('\n')) console.log(`  ${line}`)
}

/** Looks until it is so; the time is what a person would have waited. */
async function within(what: string, check: () => Promise<boolean>): Promise<void> {
  const start = performance.now()
  while (!(await check().catch(() => false))) {
    if (performance.now() - start > 30_000) throw new Error(`waited 30 s for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  console.log(`  ${what} ${bold(`after ${Math.round(performance.now() - start)} ms`)}`)
}

const holds = async (path: string, text: string): Promise<boolean> => (await readFile(path, 'utf8')) === text
const exists = (path: string): Promise<boolean> => stat(path).then(() => true)
const isGone = (path: string): Promise<boolean> =>
  exists(path).then(
    () => false,
    () => true,
  )

async function pair(): Promise<void> {
  console.log(dim('  alice $ skein pair --yes'))
  const window = spawn(process.execPath, [entry, 'pair', '--yes', '--json', '--home', homes.alice], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  for await (const line of createInterface({ input: window.stdout })) {
    const event: unknown = JSON.parse(line)
    if (typeof event !== 'object' || event === null || !('kind' in event)) continue
    if (event.kind === 'opened' && 'shortCode' in event) {
      show(`The code is ${bold(String(event.shortCode))}`)
      show(await skein('bob', 'pair', String(event.shortCode)))
    }
    if (event.kind === 'joined') break
  }
  window.kill('SIGTERM')
}

async function run(): Promise<void> {
  heading('Two peers, each with a home of its own')
  for (const who of ['alice', 'bob'] as const) {
    await mkdir(folders[who], { recursive: true })
    show(
      await skein(who, 'up', '--name', who, '--interface', 'lo', '--listen', '127.0.0.1:0', '--no-clipboard'),
    )
  }
  heading('One code joins the mesh')
  await pair()
  show(await skein('bob', 'devices'))

  heading('A real folder, both ways')
  await writeFile(join(folders.alice, 'hello.txt'), 'written by alice\n')
  await mkdir(join(folders.alice, 'photos'))
  await writeFile(
    join(folders.alice, 'photos/picture.bin'),
    new Uint8Array(1_000_000).map((_, at) => at * 31),
  )
  show(await skein('alice', 'share', folders.alice, '--name', 'notes'))
  await within('bob knows the space', async () =>
    (await skein('bob', 'spaces', '--json')).includes('"notes"'),
  )
  show(await skein('bob', 'join', 'notes', folders.bob))
  await within(
    'alice’s files are at bob’s',
    async () =>
      (await holds(join(folders.bob, 'hello.txt'), 'written by alice\n')) &&
      (await stat(join(folders.bob, 'photos/picture.bin'))).size === 1_000_000,
  )
  await writeFile(join(folders.bob, 'reply.txt'), 'written by bob\n')
  await within('bob’s new file is at alice’s', () =>
    holds(join(folders.alice, 'reply.txt'), 'written by bob\n'),
  )
  await writeFile(join(folders.alice, 'hello.txt'), 'edited by alice\n')
  await within('alice’s edit is at bob’s', () => holds(join(folders.bob, 'hello.txt'), 'edited by alice\n'))
  await rename(join(folders.bob, 'photos'), join(folders.bob, 'holiday'))
  await within('bob’s renamed directory is at alice’s', () =>
    exists(join(folders.alice, 'holiday/picture.bin')),
  )
  await rm(join(folders.alice, 'reply.txt'))
  await within('alice’s delete is at bob’s', () => isGone(join(folders.bob, 'reply.txt')))

  await editApart()
  await disagree()

  heading('One clipboard')
  await skein('alice', 'clip', 'set', 'copied on alice')
  await within('bob can paste it', async () => (await skein('bob', 'clip', 'get')) === 'copied on alice')

  heading('How it looks')
  show(await skein('alice', 'status'))
}

const inFolder = (who: Who, path: string): string => join(folders[who], path)
const everywhere = (path: string, text: string): Promise<boolean> =>
  Promise.all([holds(inFolder('alice', path), text), holds(inFolder('bob', path), text)]).then((all) =>
    all.every(Boolean),
  )

/** Bob pauses as if he were away, both change something, and meet again. */
async function whileApart(change: () => Promise<void>): Promise<void> {
  await skein('bob', 'pause', 'notes')
  await change()
  await skein('alice', 'sync')
  await skein('bob', 'resume', 'notes')
}

async function editApart(): Promise<void> {
  heading('Two edits of one text, made apart')
  await writeFile(inFolder('alice', 'list.txt'), 'bread\nmilk\nhoney\ntea\n')
  await within('the list is at bob’s', () => everywhere('list.txt', 'bread\nmilk\nhoney\ntea\n'))
  await whileApart(async () => {
    await writeFile(inFolder('alice', 'list.txt'), 'rye bread\nmilk\nhoney\ntea\n')
    await writeFile(inFolder('bob', 'list.txt'), 'bread\nmilk\nhoney\ngreen tea\n')
  })
  await within('both have both edits', () => everywhere('list.txt', 'rye bread\nmilk\nhoney\ngreen tea\n'))
}

async function disagree(): Promise<void> {
  heading('Two edits of one line, made apart')
  await whileApart(async () => {
    await writeFile(inFolder('alice', 'hello.txt'), 'alice was here\n')
    await writeFile(inFolder('bob', 'hello.txt'), 'bob was here\n')
  })
  await within('both are kept', async () => {
    const names = await readdir(folders.alice)
    return names.some((name) => name.startsWith('hello (conflict'))
  })
  show(await skein('alice', 'conflicts', 'show', inFolder('alice', 'hello.txt')))
  show(await skein('alice', 'conflicts', 'pick', inFolder('alice', 'hello.txt'), '--mine'))
  await within('bob has alice’s, and no copy', async () => {
    const names = await readdir(folders.bob)
    const isAlone = !names.some((name) => name.includes('conflict'))
    return isAlone && (await everywhere('hello.txt', 'alice was here\n'))
  })
  show(await skein('bob', 'versions', inFolder('bob', 'hello.txt')))
}

async function end(): Promise<void> {
  for (const who of ['alice', 'bob'] as const) await skein(who, 'down').catch(() => undefined)
  await rm(root, { recursive: true, force: true, maxRetries: 3 })
}

let interrupted: Promise<void> | undefined
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    interrupted = end().then(() => process.exit(130))
  })
}
try {
  await run()
  if (isKept) {
    heading('Left running')
    for (const who of ['alice', 'bob'] as const)
      show(`${folders[who]}   npm run -s skein -- down --home ${homes[who]}`)
  } else {
    heading('Cleaning up')
    await end()
  }
} catch (error) {
  if (interrupted !== undefined) await interrupted
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
  await end()
}
