import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Dataset, type Layer, layers, type NDArray, registerClass, type StringArray } from '../../lib/index.js';

// Expected values are those of Keras 3.15 on TensorFlow for the same calls.

type Computing = { compute(data: never): Promise<NDArray | StringArray> };
const run = async (layer: Layer & Computing, data: unknown): Promise<unknown> =>
  (await layer.compute(data as never)).toNested();

describe('TextVectorization', () => {
  const ids = { vocabulary: ['a', 'b'] };
  test.each([
    ['empty texts', ids, ['', 'a'], [[0], [2]]],
    ['only empty texts', ids, [''], [[]]],
    ['no texts', ids, [], []],
    ['one text', ids, 'a b c', [2, 3, 1]],
    [
      'texts in a column',
      ids,
      [['a b'], ['c']],
      [
        [2, 3],
        [1, 0],
      ],
    ],
    [
      'a length',
      { ...ids, outputSequenceLength: 2 },
      ['a b a', 'b'],
      [
        [2, 3],
        [3, 0],
      ],
    ],
    ['no split', { ...ids, split: null }, ['A', 'b c', ''], [2, 1, 0]],
    [
      'no split of rows',
      { ...ids, split: null },
      [
        ['a', 'b c'],
        ['b', ''],
      ],
      [
        [2, 1],
        [3, 0],
      ],
    ],
    [
      'no split, a length',
      { ...ids, split: null, outputSequenceLength: 3 },
      [
        ['a', 'x'],
        ['b', ''],
      ],
      [
        [2, 1, 0],
        [3, 0, 0],
      ],
    ],
    [
      'multi-hot',
      { ...ids, outputMode: 'multiHot' },
      ['a b b zz', '', 'c'],
      [
        [1, 1, 1],
        [0, 0, 0],
        [1, 0, 0],
      ],
    ],
    [
      'count',
      { ...ids, outputMode: 'count' },
      ['a b b zz', '', 'c'],
      [
        [1, 1, 2],
        [0, 0, 0],
        [1, 0, 0],
      ],
    ],
    [
      'padded vectors',
      { ...ids, outputMode: 'count', maxTokens: 5, padToMaxTokens: true },
      ['a b b'],
      [[0, 1, 2, 0, 0]],
    ],
    ['pairs', { vocabulary: ['a b', 'b'], ngrams: 2 }, ['a b'], [[1, 3, 2]]],
    [
      'pairs only',
      { vocabulary: ['a b', 'b'], ngrams: [2] },
      ['a b b', 'a'],
      [
        [2, 1],
        [0, 0],
      ],
    ],
  ] as const)('%s', async (_, options, texts, want) => {
    expect(await run(layers.textVectorization(options as never), texts)).toEqual(want);
  });

  test('lower case and white space are those of ASCII, characters those of Unicode', async () => {
    const layer = layers.textVectorization();
    await layer.adapt(['Ä\u00a0B\tc\x0bd\x0ce\u2003f\x1cg h\r\n']);
    expect(layer.getVocabulary().slice(2)).toEqual(['Ä\u00a0b', 'h', 'e\u2003f\x1cg', 'd', 'c']);
    const characters = layers.textVectorization({ split: 'character', standardize: null });
    await characters.adapt(['é😀e\u0301É']);
    expect(characters.getVocabulary().slice(2)).toEqual(['😀', '\u0301', 'é', 'É', 'e']);
  });

  test('punctuation is what stands in ASCII', async () => {
    const layer = layers.textVectorization({ standardize: 'stripPunctuation', split: null });
    await layer.adapt([`x!"#$%&()*+,-./:;<=>?@[\\]^_\`{|}~'y…„`]);
    expect(layer.getVocabulary().slice(2)).toEqual(['xy…„']);
  });

  test('learns from strings, batches, a Dataset; ties fall to the later word; special tokens are no words', async () => {
    const want = ['', '[UNK]', 'b', 'c', 'a'];
    const texts = ['a b [UNK]', '', 'c B'];
    const layer = layers.textVectorization({ standardize: 'lower', maxTokens: 5 });
    await layer.adapt(texts);
    expect(layer.getVocabulary()).toEqual(['', '[UNK]', 'b', 'c', 'a']);
    for (const data of [
      [texts.slice(0, 1), texts.slice(1)].values(),
      Dataset.from({ x: texts, y: [1, 2, 3] }).batch(2),
    ]) {
      await layer.adapt(data);
      expect(layer.getVocabulary()).toEqual(want);
      expect(layer.vocabularySize()).toBe(5);
    }
    expect(layer.getVocabulary({ includeSpecialTokens: false })).toEqual(['b', 'c', 'a']);
  });

  test('functions of the user, and their names in configs', async () => {
    const standardize = (texts: string[]) => texts.map((text) => text.replaceAll('-', ' '));
    const split = (texts: string[]) => texts.map((text) => text.split(' '));
    const options = { vocabulary: ['x', 'y'], standardize, split };
    expect(await run(layers.textVectorization(options), ['x-y z', ''])).toEqual([
      [2, 3, 1],
      [0, 0, 0],
    ]);
    expect(() => layers.textVectorization(options).getConfig()).toThrow(/registerClass/);
    registerClass(standardize, { package: 'texts' });
    const layer = layers.textVectorization({ vocabulary: ['x'], standardize });
    const again = layers.TextVectorization.fromConfig(layer.getConfig()) as layers.TextVectorization;
    expect(again.standardize).toBe(standardize);
    const odd = layers.textVectorization({ vocabulary: ['x'], split: () => [['x']] });
    await expect(run(odd, ['x', 'y'])).rejects.toThrow(/each of 2 texts, got 1/);
  });

  test('tf-idf: learned weights', async () => {
    const layer = layers.textVectorization({ outputMode: 'tfIdf' });
    await layer.adapt(['a b a', 'c d a']);
    const [row] = (await run(layer, ['a b zz'])) as number[][];
    // log(1 + 2 / (1 + documents)); unknown words have the mean.
    const [two, one] = [Math.log(1 + 2 / 3), Math.log(2)];
    [(two + 3 * one) / 4, two, 0, 0, one].forEach((value, i) => {
      expect(row![i]).toBeCloseTo(value, 6);
    });
  });

  test('says what is missing or wrong', async () => {
    const made = layers.textVectorization({ vocabulary: ['a'] });
    await expect(run(layers.textVectorization(), ['a'])).rejects.toThrow(/no vocabulary yet.*adapt/);
    await expect(run(made, [['a', 'b']])).rejects.toMatchObject({ code: 'ERR_CHAINRULE_SHAPE' });
    await expect(run(made, ['a', null])).rejects.toThrow(/row 1 is null, a string is expected/);
    await expect(run(made, [null, 'a'])).rejects.toMatchObject({ code: 'ERR_CHAINRULE_INPUT' });
    await expect(run(made, ['a', 3])).rejects.toThrow(/row 1 is 3/);
    await expect(run(made, [1, 2])).rejects.toMatchObject({ code: 'ERR_CHAINRULE_DTYPE' });
    await expect(run(made, ['a', 'b\ud800'])).rejects.toThrow(/row 1 .* lone surrogate/);
    await expect(run(made, [['a'], ['a', 'b']])).rejects.toThrow(/rectangular/);
    await expect(made.adapt(['a'])).rejects.toMatchObject({ code: 'ERR_CHAINRULE_STATE' });
    await expect(layers.textVectorization().adapt(['', ' '])).rejects.toThrow(/no tokens/);
    expect(() => layers.textVectorization({ ragged: true })).toThrow(/ragged/);
    expect(() => layers.textVectorization({ outputMode: 'oneHot' })).toThrow(/multi_hot/);
    expect(() => layers.textVectorization({ outputMode: 'count', outputSequenceLength: 3 })).toThrow(/"int" only/);
  });
});

describe('StringLookup', () => {
  const vocabulary = ['a', 'b'];
  test.each([
    ['ids', {}, [['b'], ['zz']], [[2], [0]]],
    ['a row as a bag', { outputMode: 'multiHot' }, ['a', 'zz'], [1, 1, 0]],
    [
      'one-hot',
      { outputMode: 'oneHot' },
      [
        ['a', 'zz'],
        ['b', 'b'],
      ],
      [
        [
          [0, 1, 0],
          [1, 0, 0],
        ],
        [
          [0, 0, 1],
          [0, 0, 1],
        ],
      ],
    ],
    [
      'one-hot of a column',
      { outputMode: 'oneHot' },
      [['a'], ['b']],
      [
        [0, 1, 0],
        [0, 0, 1],
      ],
    ],
    ['masked tokens count nowhere', { maskToken: 'm', outputMode: 'count' }, [['a', 'm', 'q']], [[1, 1, 0]]],
    [
      'back',
      { invert: true },
      [
        [0, 1],
        [2, 7],
      ],
      [
        ['[UNK]', 'a'],
        ['b', '[UNK]'],
      ],
    ],
    [
      'back with a mask',
      { invert: true, maskToken: '' },
      [
        [0, 1],
        [2, 3],
      ],
      [
        ['', '[UNK]'],
        ['a', 'b'],
      ],
    ],
  ] as const)('%s', async (_, options, data, want) => {
    expect(await run(layers.stringLookup({ vocabulary, ...options } as never), data)).toEqual(want);
  });

  test('a vocabulary file, its assets and its config', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'chainrule-text-'));
    try {
      const path = join(folder, 'words.txt');
      writeFileSync(path, 'b\na\n');
      const layer = layers.stringLookup({ vocabulary: path });
      expect(layer.getVocabulary()).toEqual(['[UNK]', 'b', 'a']);
      // As Keras does: the tokens of a file are saved as an asset, those of a list in the config.
      expect(layer.getConfig()).toMatchObject({ vocabulary: null, vocabulary_size: 3 });
      const assets = layer.saveAssets();
      expect(new TextDecoder().decode(assets.get('vocabulary.txt'))).toBe('[UNK]\nb\na');
      const again = layers.StringLookup.fromConfig(layer.getConfig()) as layers.StringLookup;
      await expect(run(again, ['a'])).rejects.toMatchObject({ code: 'ERR_CHAINRULE_STATE' });
      again.loadAssets(assets);
      expect(await run(again, ['a', 'b'])).toEqual([2, 1]);
      expect(() => layers.stringLookup({ vocabulary: join(folder, 'none.txt') })).toThrow(/cannot be read/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('says what is wrong with a vocabulary', async () => {
    expect(() => layers.stringLookup({ vocabulary: ['a', 'a'] })).toThrow(/"a" twice/);
    expect(() => layers.stringLookup({ vocabulary: [] })).toThrow(/empty/);
    expect(() => layers.stringLookup({ vocabulary: ['a', 'm'], maskToken: 'm' })).toThrow(/mask token "m"/);
    expect(() => layers.stringLookup({ vocabulary: ['a', 'b'], maxTokens: 2 })).toThrow(/more than maxTokens 2/);
    expect(() => layers.stringLookup({ vocabulary: ['a'], outputMode: 'tfIdf' })).toThrow(/idfWeights/);
    const strict = layers.stringLookup({ vocabulary: ['a'], numOovIndices: 0 });
    await expect(run(strict, ['a', 'zz'])).rejects.toThrow(/string_lookup.*"zz" is not in the vocabulary/);
    const sized = layers.stringLookup({ outputMode: 'count' });
    sized.setVocabulary(['a']);
    expect(() => sized.setVocabulary(['a', 'b'])).toThrow(/2 numbers.*make them 3/);
  });
});

describe('integers and hashes', () => {
  test('IntegerLookup takes integers beyond 32 bits', async () => {
    const layer = layers.integerLookup();
    await layer.adapt([5, 5, -3, 10, 9, 1e12]);
    expect(layer.getVocabulary()).toEqual([-1, 5, 1e12, 10, 9, -3]);
    expect(await run(layer, [5, -3, 1e12, 8])).toEqual([1, 5, 2, 0]);
    const values = [-1, -2, -3, -4, 3, 4, 5, 6, 1e12 + 1];
    const three = { vocabulary: [1, 2], numOovIndices: 3 };
    expect(await run(layers.integerLookup(three), values)).toEqual([2, 1, 0, 2, 0, 1, 2, 0, 2]);
    const hashed = layers.integerLookup({ ...three, oovMethod: 'farmhash' });
    expect(await run(hashed, values)).toEqual([0, 1, 0, 1, 0, 2, 1, 2, 1]);
    expect(await run(layers.integerLookup({ vocabulary: [1, 2], invert: true }), [0, 1, 2, 9])).toEqual([-1, 1, 2, -1]);
    await expect(run(layer, [2 ** 60])).rejects.toThrow(/2\^53/);
  });

  // TensorFlow's to_hash_bucket_fast and, with the salt, to_hash_bucket_strong: a text for every branch by length.
  test.each(hashes())('hashes of %i bytes', async (size, fast, strong) => {
    const text = 'abcdefghijklmnopqrstuvwxyz0123456789'.repeat(30).slice(0, size);
    const numBins = 2 ** 31 - 1;
    expect(await run(layers.hashing({ numBins }), [text])).toEqual([fast]);
    expect(await run(layers.hashing({ numBins, salt: [133, 137] }), [text])).toEqual([strong]);
  });

  test('masks, vectors, numbers and crosses', async () => {
    expect(await run(layers.hashing({ numBins: 5, maskValue: '' }), [['A'], ['B'], ['']])).toEqual([[1], [1], [0]]);
    expect(await run(layers.hashing({ numBins: 5, maskValue: 1 }), [[1], [2], [3]])).toEqual([[0], [4], [2]]);
    expect(await run(layers.hashing({ numBins: 5 }), [1.7, -2.2, 3])).toEqual([4, 0, 1]);
    const rows = [
      ['A', 'B'],
      ['B', ''],
    ];
    expect(await run(layers.hashing({ numBins: 4, outputMode: 'count' }), rows)).toEqual([
      [2, 0, 0, 0],
      [1, 0, 0, 1],
    ]);
    const features = [
      ['A', 'B', 'A', 'B', 'A'],
      [101, 101, 101, 102, 102],
    ];
    expect(await run(layers.hashedCrossing({ numBins: 5 }), features)).toEqual([1, 4, 1, 1, 3]);
    await expect(run(layers.hashedCrossing({ numBins: 5 }), [['A']])).rejects.toMatchObject({
      code: 'ERR_CHAINRULE_SHAPE',
    });
    expect(layers.hashing({ numBins: 3, salt: 5, outputMode: 'count' }).getConfig()).toMatchObject({
      num_bins: 3,
      salt: [5, 5],
      dtype: { config: { name: 'float32' } },
    });
  });
});

function hashes(): [size: number, fast: number, strong: number][] {
  return [
    [0, 1699943623, 1380786607],
    [1, 493484721, 1322453157],
    [3, 1043552938, 1436537283],
    [4, 2127136445, 298740832],
    [7, 357369260, 679991452],
    [8, 245091680, 1680863114],
    [16, 533456409, 1655646054],
    [17, 1773773112, 1650992243],
    [32, 1280351915, 987939036],
    [33, 1292230305, 1694130098],
    [64, 272527188, 1419310416],
    [65, 788352015, 1586370161],
    [128, 2030213915, 495703876],
    [129, 691851241, 791933059],
    [1000, 357773173, 393391319],
  ];
}
