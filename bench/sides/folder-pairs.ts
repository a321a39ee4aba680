/**
 * Two devices in two network namespaces that keep one folder the same, by Skein or by another program. Nothing of it
 * can leave the namespaces: no discovery beyond static addresses, no relays, no reports home.
 */
import { execFileSync, type ChildProcess } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Lab } from '../../test/support/netns.ts'
import { createSkeinPeer, pairPeers, until, type SkeinPeer } from '../../test/support/skein.ts'

export interface FolderPair extends AsyncDisposable {
  readonly near: string
  readonly far: string
  /** For programs that do not watch: carries what has changed over. For others: tells them to look now, where they can be told. */
  pass?(): Promise<void>
  /** Processes to be charged. */
  pids(): readonly number[]
}

export interface SkeinPair extends FolderPair {
  readonly peers: readonly [SkeinPeer, SkeinPeer]
  /** Stops both and starts both again. */
  restart(whileDown: () => void): Promise<void>
}

export interface PairPlace {
  readonly lab: Lab
  /** Two empty directories, and room for state beside them. */
  readonly near: string
  readonly far: string
  readonly state: string
}

export interface FolderPeer {
  readonly name: 'skein' | 'rsync' | 'unison' | 'syncthing'
  readonly isContinuous: boolean
  start(place: PairPlace): Promise<FolderPair>
}

export const skein: FolderPeer & { start(place: PairPlace): Promise<SkeinPair> } = {
  name: 'skein',
  isContinuous: true,
  start: startSkein,
}
export const others: readonly FolderPeer[] = [
  { name: 'rsync', isContinuous: false, start: startRsync },
  { name: 'unison', isContinuous: false, start: startUnison },
  { name: 'syncthing', isContinuous: true, start: startSyncthing },
]

async function startSkein({ lab, near, far }: PairPlace): Promise<SkeinPair> {
  await using stack = new AsyncDisposableStack()
  const start = async (host: number, name: string): Promise<SkeinPeer> => {
    const launch = (file: string, args: readonly string[]): ChildProcess =>
      lab.spawn(host, file, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const peer = stack.use(await createSkeinPeer({ name, launch, upArgs: ['--log-level', 'info'] }))
    await peer.up()
    return peer
  }
  const a = await start(0, 'near')
  const b = await start(1, 'far')
  const isUp = async (peer: SkeinPeer): Promise<boolean> =>
    (await peer.status()).links.some((link) => link.state === 'up')
  const linked = (): Promise<unknown> =>
    until('the link', async () => (await isUp(a)) && (await isUp(b)), 30_000)
  await pairPeers(a, b)
  await linked()
  await a.json('share', near, '--name', 'bench')
  await until('the space', async () => (await b.json<unknown[]>('spaces')).length > 0)
  await b.json('join', 'bench', far)
  await a.json('sync', '--timeout', '600s')
  await b.json('sync', '--timeout', '600s')
  // Windows tune themselves and the bulk connection follows control: not part of what is measured
  await delay(1_500)
  const pids = [await a.pid(), await b.pid()]
  const owned = stack.move()
  return {
    near,
    far,
    peers: [a, b],
    pids: () => pids,
    async restart(whileDown) {
      await Promise.all([a.run('down'), b.run('down')])
      whileDown()
      await Promise.all([a.up(), b.up()])
      pids.splice(0, 2, await a.pid(), await b.pid())
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** The far side pulls from a daemon on the near side, not encrypted, one way. */
async function startRsync({ lab, near, far, state }: PairPlace): Promise<FolderPair> {
  const config = join(state, 'rsyncd.conf')
  writeFileSync(
    config,
    `use chroot = no\nreverse lookup = no\nuid = 0\ngid = 0\n[data]\npath = ${near}\nread only = yes\n`,
  )
  const args = [
    '--daemon',
    '--no-detach',
    `--config=${config}`,
    '--port=8730',
    `--address=${lab.addressOf(0)}`,
  ]
  const daemon = lab.spawn(0, 'rsync', args, { stdio: 'ignore' })
  await delay(500)
  const source = `rsync://${lab.addressOf(0)}:8730/data/`
  return {
    near,
    far,
    async pass() {
      await must(lab, 1, 'rsync', ['-a', '--delete', source, `${far}/`])
    },
    pids: () => [],
    [Symbol.asyncDispose]: () => end(daemon),
  }
}

/** Its own socket, not encrypted. */
async function startUnison({ lab, near, far, state }: PairPlace): Promise<FolderPair> {
  const env = (side: string): NodeJS.ProcessEnv => ({
    ...process.env,
    UNISON: join(state, side),
    HOME: join(state, side),
  })
  for (const side of ['near', 'far']) mkdirSync(join(state, side), { recursive: true })
  const server = lab.spawn(0, 'unison', ['-socket', '9090'], { stdio: 'ignore', env: env('near') })
  await delay(500)
  const replicas = [far, `socket://${lab.addressOf(0)}:9090/${near}`]
  return {
    near,
    far,
    async pass() {
      const child = lab.spawn(
        1,
        'unison',
        [...replicas, '-batch', '-times', '-confirmbigdel=false', '-silent'],
        {
          stdio: 'ignore',
          env: env('far'),
        },
      )
      const code = await new Promise<number | null>((resolve) => child.once('exit', resolve))
      if (code !== 0) throw new Error(`unison ended with ${code}`)
    },
    pids: () => [],
    [Symbol.asyncDispose]: () => end(server),
  }
}

/** Fastest settings that still hold for it: watcher delay 1 s, and told at once to look where a pass is asked for. */
async function startSyncthing({ lab, near, far, state }: PairPlace): Promise<FolderPair> {
  const homes = ['near', 'far'].map((side) => join(state, side))
  const ids = homes.map((home) => {
    execFileSync('syncthing', ['generate', `--home=${home}`, '--no-default-folder'], { stdio: 'ignore' })
    return execFileSync('syncthing', [`--home=${home}`, '--device-id'], { encoding: 'utf8' }).trim()
  })
  const children = [near, far].map((folder, host) => {
    const home = homes[host] ?? ''
    writeFileSync(join(home, 'config.xml'), syncthingConfig(lab, { ids, host, folder }))
    return lab.spawn(
      host,
      'syncthing',
      ['serve', `--home=${home}`, '--no-browser', '--no-restart', '--logfile=-'],
      {
        stdio: 'ignore',
        env: { ...process.env, STNOUPGRADE: '1', HOME: home },
      },
    )
  })
  const ask = async (host: number, method: string, path: string): Promise<string> => {
    const script = `fetch('http://127.0.0.1:8384${path}',{method:'${method}',headers:{'X-API-Key':'bench'}}).then(r=>r.text()).then(t=>process.stdout.write(t))`
    return (await must(lab, host, process.execPath, ['-e', script])).stdout
  }
  const isLinked = async (): Promise<boolean> => {
    try {
      return (await ask(0, 'GET', '/rest/system/connections')).includes('"connected": true')
    } catch {
      return false // because: its API is not up yet
    }
  }
  await until('syncthing to link', isLinked, 60_000)
  await delay(3_000)
  return {
    near,
    far,
    pass: async () => void (await ask(0, 'POST', '/rest/db/scan?folder=bench')),
    // The program proper is a child of its own watchdog
    pids: () => children.flatMap((child) => (child.pid === undefined ? [] : withChildren(child.pid))),
    async [Symbol.asyncDispose]() {
      for (const child of children) await end(child)
    },
  }
}

interface SyncthingSide {
  readonly ids: readonly string[]
  readonly host: number
  readonly folder: string
}

function syncthingConfig(lab: Lab, { ids, host, folder }: SyncthingSide): string {
  const devices = ids.map(
    (id, index) =>
      `<device id="${id}" name="h${index}" compression="metadata"><address>tcp://${lab.addressOf(index)}:22000</address></device>`,
  )
  const members = ids.map((id) => `<device id="${id}"></device>`).join('')
  return `<configuration version="35">
<folder id="bench" label="bench" path="${folder}" type="sendreceive" rescanIntervalS="3600" fsWatcherEnabled="true" fsWatcherDelayS="1">
<filesystemType>basic</filesystemType>${members}<minDiskFree unit="">0</minDiskFree></folder>
${devices.join('\n')}
<gui enabled="true" tls="false"><address>127.0.0.1:8384</address><apikey>bench</apikey></gui>
<options><listenAddress>tcp://${lab.addressOf(host)}:22000</listenAddress>
<globalAnnounceEnabled>false</globalAnnounceEnabled><localAnnounceEnabled>false</localAnnounceEnabled>
<relaysEnabled>false</relaysEnabled><natEnabled>false</natEnabled><urAccepted>-1</urAccepted>
<autoUpgradeIntervalH>0</autoUpgradeIntervalH><crashReportingEnabled>false</crashReportingEnabled>
<startBrowser>false</startBrowser><reconnectionIntervalS>5</reconnectionIntervalS><setLowPriority>false</setLowPriority>
</options></configuration>`
}

async function must(
  lab: Lab,
  host: number,
  file: string,
  args: readonly string[],
): Promise<{ stdout: string }> {
  const result = await lab.exec(host, file, args, { timeoutMs: 600_000 })
  if (result.code !== 0) throw new Error(`${file} ended with ${result.code}: ${result.stderr}`)
  return result
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await exited
  clearTimeout(timer)
}

function withChildren(pid: number): readonly number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8')
      .split(' ')
      .filter((text) => text.trim() !== ''),
  )
  return [pid, ...children.flatMap((child) => withChildren(Number(child)))]
}

/** User and system CPU seconds of these processes so far, and the most memory they held. */
export function costOf(pids: readonly number[]): {
  readonly cpuSeconds: number
  readonly peakMiB: readonly number[]
} {
  let ticks = 0
  const peakMiB: number[] = []
  for (const pid of pids) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      ticks += Number(fields[11]) + Number(fields[12])
      const status = readFileSync(`/proc/${pid}/status`, 'utf8')
      peakMiB.push(Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024))
    } catch {
      peakMiB.push(0) // because: it has ended; its part is missing from the note, not from the figure
    }
  }
  return { cpuSeconds: ticks / 100, peakMiB }
}

/** Bytes that have crossed the near side's interface, both ways. */
export async function wireBytes(lab: Lab): Promise<number> {
  const { stdout } = await must(lab, 0, 'cat', [
    '/sys/class/net/eth0/statistics/rx_bytes',
    '/sys/class/net/eth0/statistics/tx_bytes',
  ])
  return stdout
    .trim()
    .split('\n')
    .reduce((sum, line) => sum + Number(line), 0)
}
