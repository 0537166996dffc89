import { type Attribute, readAttributes } from './attribute.js';
import { FileBytes } from './bytes.js';
import { Hdf5Dataset } from './dataset.js';
import { isGroup, type Links, readLinks } from './group.js';
import { type Message, readHeader } from './header.js';
import { GlobalHeap } from './heap.js';
import { readSuperblock } from './superblock.js';

const maxDepth = 64;

/** What the objects of one open file share. */
interface Opened {
  file: FileBytes;
  heap: GlobalHeap;
  /** Address of a header → path of its object: each object has one place, so there are no circles. */
  paths: Map<number, string>;
}

/** A folder of an HDF5 file. */
export class Hdf5Group {
  private readonly children = new Map<string, Hdf5Group | Hdf5Dataset>();
  private links: Links | undefined;
  private cached: Map<string, Attribute> | undefined;

  constructor(
    private readonly opened: Opened,
    private readonly messages: readonly Message[],
    readonly path: string,
    private readonly depth = 0,
  ) {}

  get attributes(): Map<string, Attribute> {
    return (this.cached ??= readAttributes(this.opened.file, this.opened.heap, this.messages));
  }

  /** Names of what is inside, in the order of the file (h5py: by name). */
  names(): string[] {
    return [...this.table().keys()];
  }

  has(name: string): boolean {
    return this.table().has(name);
  }

  /** The object of this name, or of this path below the group (`layers/dense`). */
  get(path: string): Hdf5Group | Hdf5Dataset | undefined {
    const [name = '', ...rest] = path.split('/');
    const found = this.children.get(name) ?? this.child(name);
    if (rest.length === 0 || !found) return found;
    return found instanceof Hdf5Group ? found.get(rest.join('/')) : undefined;
  }

  group(path: string): Hdf5Group | undefined {
    const found = this.get(path);
    if (found instanceof Hdf5Dataset)
      throw this.opened.file.broken(`"${found.path}" is a dataset where a group is expected`);
    return found;
  }

  dataset(path: string): Hdf5Dataset | undefined {
    const found = this.get(path);
    if (found instanceof Hdf5Group)
      throw this.opened.file.broken(`"${found.path}" is a group where a dataset is expected`);
    return found;
  }

  private child(name: string): Hdf5Group | Hdf5Dataset | undefined {
    const { file, heap, paths } = this.opened;
    const address = this.table().get(name);
    if (address === undefined) return undefined;
    const path = this.path === '' ? name : `${this.path}/${name}`;
    const other = paths.get(address);
    if (other !== undefined) throw file.unsupported(`one object with two paths ("${other}" and "${path}")`);
    paths.set(address, path);
    if (this.depth >= maxDepth) throw file.broken(`groups are nested deeper than ${maxDepth} (at "${path}")`);
    const messages = readHeader(file, address);
    const found = isGroup(messages)
      ? new Hdf5Group(this.opened, messages, path, this.depth + 1)
      : new Hdf5Dataset(file, heap, messages, path);
    this.children.set(name, found);
    return found;
  }

  private table(): Links {
    return (this.links ??= readLinks(this.opened.file, this.messages));
  }
}

/**
 * Opens the content of an HDF5 file and gives its root group. Only what Keras and h5py write by default is read: hard
 * links, contiguous, compact and chunked datasets of numbers and texts, attributes of numbers and texts. Anything else
 * is refused by name with ERR_CHAINRULE_FORMAT
 * (https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html).
 */
export function openHdf5(content: Uint8Array, label: string): Hdf5Group {
  const file = new FileBytes(content, label);
  const address = readSuperblock(file);
  const messages = readHeader(file, address);
  if (!isGroup(messages)) throw file.broken('its root is no group');
  return new Hdf5Group({ file, heap: new GlobalHeap(file), paths: new Map([[address, '']]) }, messages, '');
}
