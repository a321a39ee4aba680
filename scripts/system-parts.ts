/**
 * The parts of the operating system that tests need: which they are, which are missing here, how to get them.
 * Run as a script it installs what is missing where it can (root, apt-get) and otherwise says what to do. A part
 * still missing fails the script in CI; elsewhere the tests that need it are skipped by name. With `--bench` it does the
 * same for the programs that benches compare with, which nothing depends on.
 */
import { execFileSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** A part that tests can ask for by name. */
export type SystemPart =
  | 'ip'
  | 'tc'
  | 'nft'
  | 'ping'
  | 'netns'
  | 'nsenter'
  | 'faketime'
  | 'chromium'
  | 'Xvfb'
  | 'xclip'
  | 'sway'
  | 'wl-clipboard'
  | 'loop'
  | 'ram'
  | 'attr'
  | 'acl'
  | BenchPart
/** Programs that benches compare with: they run without, and say so. */
type BenchPart = 'rsync' | 'unison' | 'syncthing'

interface PartPlan {
  readonly about: string
  /** The Debian package that brings it; none where nothing can be installed. */
  readonly aptPackage?: string
  readonly fix?: string
  readonly isPresent: () => boolean
}

/** One entry a part; a new part (a browser, a display, a codec) is one more line here. */
const parts: Readonly<Record<SystemPart, PartPlan>> = {
  ip: {
    about: 'network interfaces and namespaces',
    aptPackage: 'iproute2',
    isPresent: () => hasCommand('ip'),
  },
  tc: { about: 'bandwidth limits', aptPackage: 'iproute2', isPresent: () => hasCommand('tc') },
  nft: { about: 'packet filters', aptPackage: 'nftables', isPresent: () => hasCommand('nft') },
  ping: { about: 'reachability', aptPackage: 'iputils-ping', isPresent: () => hasCommand('ping') },
  nsenter: {
    about: 'small disks in mount namespaces',
    aptPackage: 'util-linux',
    isPresent: () => hasCommand('nsenter') && hasCommand('unshare'),
  },
  faketime: { about: 'wrong clocks', aptPackage: 'faketime', isPresent: () => hasCommand('faketime') },
  chromium: { about: 'the web console', aptPackage: 'chromium', isPresent: () => hasCommand('chromium') },
  Xvfb: { about: 'a display for the clipboard', aptPackage: 'xvfb', isPresent: () => hasCommand('Xvfb') },
  xclip: {
    about: 'a witness for the clipboard',
    aptPackage: 'xclip',
    isPresent: () => hasCommand('xclip'),
  },
  sway: {
    about: 'a Wayland session for the clipboard',
    aptPackage: 'sway',
    isPresent: () => hasCommand('sway') && hasCommand('setpriv'),
  },
  'wl-clipboard': {
    about: 'the clipboard of a Wayland session',
    aptPackage: 'wl-clipboard',
    isPresent: () => hasCommand('wl-copy') && hasCommand('wl-paste'),
  },
  loop: {
    about: 'a disk of its own, to damage below its file system',
    fix: 'run the tests as root with loop devices (losetup, mkfs.ext4)',
    isPresent: canMountLoop,
  },
  ram: {
    about: 'a disk without extended attributes',
    fix: 'run the tests as root with permission to mount (ramfs)',
    isPresent: canMountRam,
  },
  attr: { about: 'extended attributes', aptPackage: 'attr', isPresent: () => hasCommand('setfattr') },
  acl: { about: 'access lists', aptPackage: 'acl', isPresent: () => hasCommand('setfacl') },
  rsync: { about: 'the files bench', aptPackage: 'rsync', isPresent: () => hasCommand('rsync') },
  unison: { about: 'the files bench', aptPackage: 'unison', isPresent: () => hasCommand('unison') },
  syncthing: { about: 'the files bench', aptPackage: 'syncthing', isPresent: () => hasCommand('syncthing') },
  netns: {
    about: 'permission to create network namespaces',
    fix: 'run the tests as root (or with CAP_SYS_ADMIN and CAP_NET_ADMIN)',
    isPresent: canCreateNamespace,
  },
}

const probeTimeoutMs = 10_000
const updateTimeoutMs = 120_000
const installTimeoutMs = 300_000

const benchParts: readonly SystemPart[] = ['rsync', 'unison', 'syncthing'] satisfies readonly BenchPart[]
// because: the keys are the union, by the Record type
const testParts = (Object.keys(parts) as SystemPart[]).filter((name) => !benchParts.includes(name))

/** @returns those of `wanted` (all that tests need by default) that this machine lacks. */
export function findMissingParts(wanted: readonly SystemPart[] = testParts): readonly SystemPart[] {
  return wanted.filter((name) => !parts[name].isPresent())
}

/** @returns for each missing part one line that says what it is for and how to get it. */
export function describeMissing(missing: readonly SystemPart[]): string {
  return missing.map((name) => `${name} (${parts[name].about}): ${fixFor(name)}`).join('\n')
}

/** Installs what can be installed: as root with apt-get, one package at a time, each within its own time. */
function installMissing(missing: readonly SystemPart[]): void {
  const packages = new Set(missing.flatMap((name) => parts[name].aptPackage ?? []))
  if (packages.size === 0 || process.getuid?.() !== 0 || !hasCommand('apt-get')) return
  runApt(['update', '-qq'], updateTimeoutMs)
  for (const name of packages)
    runApt(['install', '-y', '-qq', '--no-install-recommends', name], installTimeoutMs)
}

/** A failed install is reported here and judged afterwards, by looking whether the part is there. */
function runApt(args: readonly string[], timeoutMs: number): void {
  console.error(`system-parts: apt-get ${args.join(' ')}`)
  try {
    execFileSync('apt-get', args, {
      timeout: timeoutMs,
      stdio: ['ignore', process.stderr, process.stderr],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    })
  } catch (error) {
    console.error(`system-parts: apt-get ${args[0]} did not succeed: ${String(error)}`)
  }
}

function fixFor(name: SystemPart): string {
  const { aptPackage, fix } = parts[name]
  if (aptPackage === undefined) return fix ?? 'no way to install it is known'
  return `sudo apt-get install --no-install-recommends ${aptPackage}`
}

function hasCommand(command: string): boolean {
  // sbin is where ip, tc and nft live, and it is not on every user's PATH.
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin']
  return folders.some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK)
      return true
    } catch {
      // Not there, or not ours to run: either way the next folder decides.
      return false
    }
  })
}

/** Tries it: permission depends on capabilities, seccomp and the container, and no flag tells. */
function canCreateNamespace(): boolean {
  if (!hasCommand('ip')) return false
  const name = `skein-${process.pid}-0-probe`
  const options = { timeout: probeTimeoutMs, stdio: 'ignore' } as const
  try {
    execFileSync('ip', ['netns', 'add', name], options)
  } catch {
    return false // because: any refusal means the same to a test, and `describeMissing` says what to do
  }
  execFileSync('ip', ['netns', 'delete', name], options)
  return true
}

function canMountLoop(): boolean {
  if (!hasCommand('losetup') || !hasCommand('mkfs.ext4') || process.getuid?.() !== 0) return false
  try {
    execFileSync('losetup', ['-f'], { timeout: probeTimeoutMs, stdio: 'ignore' })
    return true
  } catch {
    return false // because: any refusal means the same to a test, and `describeMissing` says what to do
  }
}

function canMountRam(): boolean {
  if (process.getuid?.() !== 0) return false
  try {
    execFileSync('unshare', ['-m', 'mount', '-t', 'ramfs', 'none', '/mnt'], {
      timeout: probeTimeoutMs,
      stdio: 'ignore',
    })
    return true
  } catch {
    return false // because: as for a loop disk
  }
}

function main(): void {
  if (process.argv.includes('--bench')) {
    installMissing(findMissingParts(benchParts))
    const lacking = findMissingParts(benchParts)
    console.error(
      lacking.length === 0 ? 'system-parts: all peers of benches present' : describeMissing(lacking),
    )
    return
  }
  const missingBefore = findMissingParts()
  if (missingBefore.length > 0) installMissing(missingBefore)
  const missing = findMissingParts()
  if (missing.length === 0) {
    console.error(`system-parts: all present (${testParts.join(', ')})`)
    return
  }
  console.error(`system-parts: missing\n${describeMissing(missing)}`)
  if (process.env['CI'] === 'true') process.exitCode = 1
  else console.error('system-parts: the tests that need these are skipped by name')
}

if (import.meta.main) main()
