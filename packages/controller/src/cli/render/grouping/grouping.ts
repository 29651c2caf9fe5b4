/**
 * Puts hosts whose answers are the same together, while the answers come. Of each stream that has not ended it holds less than a
 * block; everything else is in the tree, once.
 */
import type { OutputName } from "@outpost/protocol";
import { type Block, blockBytes, ContentTree, type Node, root } from "./content-tree.ts";
import type { SpoolOptions } from "./spool.ts";

export interface Group {
  /** In the order in which they were given to `groups`. */
  readonly hosts: readonly string[];
  /** What is the same but the output, as `groups` was told. */
  readonly ending: string;
  readonly stdout: Node;
  readonly stderr: Node;
}

interface Stream {
  node: Node;
  /** Less than a block that has not been put into the tree. */
  rest: Uint8Array;
}

const nothing = new Uint8Array(0);

export class Grouping implements AsyncDisposable {
  readonly #tree: ContentTree;
  readonly #streams = new Map<string, Stream>();
  #restBytes = 0;
  /** One after another: the tree takes one block at a time. */
  #tail: Promise<void> = Promise.resolve();

  constructor(options: SpoolOptions = {}) {
    this.#tree = new ContentTree(options);
  }

  /** How many bytes of memory it holds. */
  get heldBytes(): number {
    return this.#restBytes + this.#tree.heldBytes;
  }

  /** How many bytes of contents are kept, in memory and in the file. */
  get storedBytes(): number {
    return this.#tree.storedBytes;
  }

  /** Takes in what comes next of a host's stream. @throws OutpostError `limit_exceeded` where there is no room */
  push(host: string, name: OutputName, bytes: Uint8Array): Promise<void> {
    return this.#enqueue(() => this.#push(this.#stream(host, name), bytes));
  }

  /** Something of ours that stands between what has come and what comes, and that keeps hosts apart, too. */
  note(host: string, name: OutputName, text: string): Promise<void> {
    return this.#enqueue(async () => {
      const stream = this.#stream(host, name);
      await this.#settle(stream);
      stream.node = await this.#tree.follow(stream.node, "note", Buffer.from(text).subarray(0, blockBytes));
    });
  }

  /** Nothing more comes of a host: what is held of it goes into the tree. */
  end(host: string): Promise<void> {
    return this.#enqueue(async () => {
      for (const name of ["stdout", "stderr"] as const) {
        const stream = this.#streams.get(`${name} ${host}`);
        if (stream !== undefined) await this.#settle(stream);
      }
    });
  }

  /** The groups of these hosts, in the order of their first ones. What is pushed later MUST NOT be of them. */
  async groups(hosts: readonly { readonly host: string; readonly ending: string }[]): Promise<Group[]> {
    const groups = new Map<string, { hosts: string[]; ending: string; stdout: Node; stderr: Node }>();
    for (const { host, ending } of hosts) {
      await this.end(host);
      const stdout = this.#streams.get(`stdout ${host}`)?.node ?? root;
      const stderr = this.#streams.get(`stderr ${host}`)?.node ?? root;
      const key = `${String(stdout)} ${String(stderr)} ${ending}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, { hosts: [host], ending, stdout, stderr });
      else group.hosts.push(host);
    }
    return [...groups.values()];
  }

  /** What a group has said, piece by piece. */
  read(node: Node): Generator<Block, void, void> {
    return this.#tree.read(node);
  }

  size(node: Node): number {
    return this.#tree.size(node);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tail;
    this.#streams.clear();
    await this.#tree[Symbol.asyncDispose]();
  }

  #enqueue(task: () => Promise<void>): Promise<void> {
    const done = this.#tail.then(task);
    this.#tail = done.catch(() => {});
    return done;
  }

  #stream(host: string, name: OutputName): Stream {
    const key = `${name} ${host}`;
    let stream = this.#streams.get(key);
    if (stream === undefined) {
      stream = { node: root, rest: nothing };
      this.#streams.set(key, stream);
    }
    return stream;
  }

  async #push(stream: Stream, bytes: Uint8Array): Promise<void> {
    let left = bytes;
    if (stream.rest.byteLength > 0) {
      const room = blockBytes - stream.rest.byteLength;
      const joined = join(stream.rest, left.subarray(0, room));
      left = left.subarray(room);
      this.#hold(stream, nothing);
      if (joined.byteLength < blockBytes) {
        this.#hold(stream, joined);
        return;
      }
      stream.node = await this.#tree.follow(stream.node, "output", joined);
    }
    for (; left.byteLength >= blockBytes; left = left.subarray(blockBytes)) {
      stream.node = await this.#tree.follow(stream.node, "output", left.subarray(0, blockBytes));
    }
    // A copy: the chunk that it came in may be much larger, and would be held with it.
    if (left.byteLength > 0) this.#hold(stream, Uint8Array.from(left));
  }

  async #settle(stream: Stream): Promise<void> {
    const { rest } = stream;
    if (rest.byteLength === 0) return;
    stream.node = await this.#tree.follow(stream.node, "output", rest);
    this.#hold(stream, nothing);
  }

  #hold(stream: Stream, rest: Uint8Array): void {
    this.#restBytes += rest.byteLength - stream.rest.byteLength;
    stream.rest = rest;
  }
}

/** In memory of its own: what is held must not hold a pool with it. */
function join(left: Uint8Array, right: Uint8Array): Uint8Array {
  const joined = new Uint8Array(left.byteLength + right.byteLength);
  joined.set(left);
  joined.set(right, left.byteLength);
  return joined;
}
