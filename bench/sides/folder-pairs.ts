/**
 * Two devices in two network namespaces that keep one folder the same, by Skein or by another program. Nothing of it
 * can leave the namespaces: no discovery beyond static addresses, no relays, no reports home.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Lab } from '../../test/support/netns.ts'
import { createSkeinPeer, launchIn, pairPeers, until, type SkeinPeer } from '../../test/support/skein.ts'
import type { Charged } from './folder-costs.ts'

export interface FolderPair extends AsyncDisposable {
  readonly near: string
  readonly far: string
  /** Takes both folders up as they stand; resolves when the program itself says that they are in sync. */
  join(): Promise<void>
  /** For programs that do not watch: carries what has changed over. */
  pass?(): Promise<void>
  /** Its files stand under their names before they are whole and on the disk: the end of the pass counts. */
  readonly isWholeAtEnd?: boolean
  /** Stops both, and starts both again; for programs that run on. */
  restart?(whileDown: () => void): Promise<void>
  charged(): Charged
}

export interface PairPlace {
  readonly lab: Lab
  /** Two empty directories, and room for state beside them. */
  readonly near: string
  readonly far: string
  readonly state: string
}

export interface FolderPeer {
  readonly name: 'skein' | 'cp' | 'rsync' | 'unison' | 'syncthing'
  /** Both sides run, know each other and are connected; the folders are not taken up yet, and may be filled before they are. */
  start(place: PairPlace): Promise<FolderPair>
}

export const skein: FolderPeer = { name: 'skein', start: startSkein }
export const rsync: FolderPeer = { name: 'rsync', start: startRsync }
export const unison: FolderPeer = { name: 'unison', start: startUnison }
/** No network and no comparison of contents: what the disk itself takes. */
export const plainCopy: FolderPeer = { name: 'cp', start: startPlainCopy }

const joinMs = 600_000

async function startSkein({ lab, near, far }: PairPlace): Promise<FolderPair> {
  await using stack = new AsyncDisposableStack()
  const start = async (host: number, name: string): Promise<SkeinPeer> => {
    const launch = launchIn(lab, host)
    const peer = stack.use(await createSkeinPeer({ name, launch, upArgs: ['--log-level', 'info'] }))
    await peer.up()
    return peer
  }
  const [a, b] = await Promise.all([start(0, 'near'), start(1, 'far')])
  const isUp = async (peer: SkeinPeer): Promise<boolean> =>
    (await peer.status()).links.some((link) => link.state === 'up')
  await pairPeers(a, b)
  await until('the link', async () => (await isUp(a)) && (await isUp(b)), 30_000)
  // Known to both and kept by nobody, so that both take it up alike
  await a.json('share', near, '--name', 'bench')
  await until('the space', async () => (await b.json<unknown[]>('spaces')).length > 0)
  await a.json('unshare', 'bench')
  const pids = [await a.pid(), await b.pid()]
  const inSync = async (peer: SkeinPeer): Promise<void> => {
    const { code, stderr } = await peer.start('sync', '--timeout', `${joinMs / 1000}s`).done
    if (code !== 0) throw new Error(`skein sync ended with ${code}: ${stderr}`)
  }
  const owned = stack.move()
  return {
    near,
    far,
    async join() {
      await Promise.all([a.json('join', 'bench', near), b.json('join', 'bench', far)])
      await Promise.all([inSync(a), inSync(b)])
    },
    async restart(whileDown) {
      await Promise.all([a.run('down'), b.run('down')])
      whileDown()
      await Promise.all([a.up(), b.up()])
      pids.splice(0, 2, await a.pid(), await b.pid())
    },
    charged: () => ({ near: pids.slice(0, 1), far: pids.slice(1) }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** Runs a program of the far side to its end. */
interface Runs {
  readonly run: (file: string, args: readonly string[], env?: NodeJS.ProcessEnv) => Promise<void>
  /** The one that runs. */
  readonly pids: readonly number[]
}

function runsOf(
  start: (file: string, args: readonly string[], env: NodeJS.ProcessEnv) => ChildProcess,
): Runs {
  const pids: number[] = []
  return {
    pids,
    async run(file, args, env = process.env) {
      const child = start(file, args, env)
      if (child.pid !== undefined) pids.push(child.pid)
      let said = ''
      child.stderr?.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-2000)))
      const code = await new Promise<number | null>((resolve, reject) => {
        child.once('error', reject)
        child.once('close', resolve)
      })
      pids.length = 0
      if (code !== 0) throw new Error(`${file} ended with ${code}: ${said}`)
    },
  }
}

const runsOn = (lab: Lab, host: number): Runs =>
  runsOf((file, args, env) => lab.spawn(host, file, args, { stdio: ['ignore', 'ignore', 'pipe'], env }))

/** The far side pulls from a daemon on the near side, not encrypted, one way. */
async function startRsync({ lab, near, far, state }: PairPlace): Promise<FolderPair> {
  const config = join(state, 'rsyncd.conf')
  writeFileSync(
    config,
    `use chroot = no\nreverse lookup = no\nuid = 0\ngid = 0\n[data]\npath = ${near}\nread only = yes\n`,
  )
  const address = lab.addressOf(0)
  const args = ['--daemon', '--no-detach', `--config=${config}`, '--port=8730', `--address=${address}`]
  const daemon = lab.spawn(0, 'rsync', args, { stdio: 'ignore' })
  await listens(lab, 8730)
  const { run, pids } = runsOn(lab, 1)
  const pass = (): Promise<void> =>
    run('rsync', ['-a', '--delete', `rsync://${address}:8730/data/`, `${far}/`])
  return {
    near,
    far,
    join: pass,
    pass,
    charged: () => ({ near: pidsOf(daemon), far: pids, isRunHere: true }),
    [Symbol.asyncDispose]: () => end(daemon),
  }
}

/** Its own socket, not encrypted. */
async function startUnison({ lab, near, far, state }: PairPlace): Promise<FolderPair> {
  const env = (side: string): NodeJS.ProcessEnv => {
    const home = join(state, side)
    mkdirSync(home, { recursive: true })
    return { ...process.env, UNISON: home, HOME: home }
  }
  const server = lab.spawn(0, 'unison', ['-socket', '9090'], { stdio: 'ignore', env: env('near') })
  await listens(lab, 9090)
  const replicas = [far, `socket://${lab.addressOf(0)}:9090/${near}`]
  const { run, pids } = runsOn(lab, 1)
  const options = [
    '-batch',
    '-times',
    '-confirmbigdel=false',
    '-silent',
    '-logfile',
    join(state, 'unison.log'),
  ]
  const pass = (): Promise<void> => run('unison', [...replicas, ...options], env('far'))
  return {
    near,
    far,
    join: pass,
    pass,
    charged: () => ({ near: pidsOf(server), far: pids, isRunHere: true }),
    [Symbol.asyncDispose]: () => end(server),
  }
}

async function startPlainCopy({ near, far }: PairPlace): Promise<FolderPair> {
  const { run, pids } = runsOf((file, args, env) =>
    spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'], env }),
  )
  const pass = async (): Promise<void> => {
    await run('cp', ['-a', '--update', '--reflink=auto', `${near}/.`, far])
    // What only stands in memory is not kept yet
    await run('sync', ['--file-system', far])
  }
  return {
    near,
    far,
    join: pass,
    pass,
    isWholeAtEnd: true,
    charged: () => ({ near: [], far: pids, isRunHere: true }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

export const pidsOf = (child: ChildProcess): readonly number[] =>
  child.pid === undefined || child.exitCode !== null ? [] : [child.pid]

/** Until the near host listens on a port, by its kernel's own list: a connection would be served. */
async function listens(lab: Lab, port: number): Promise<void> {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')} 00000000`
  await until(`port ${port}`, async () => {
    const { stdout } = await lab.exec(0, 'cat', ['/proc/net/tcp', '/proc/net/tcp6'])
    return stdout.includes(wanted)
  })
}

export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await exited
  clearTimeout(timer)
}

/** The end of a program's log, for a message. */
export function tailOf(path: string): string {
  try {
    return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-5).join('\n')
  } catch {
    return 'it wrote nothing'
  }
}
