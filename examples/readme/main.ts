import { layers, loadModel, NDArray, sequential, setRandomSeed } from 'chainrule';

async function main(): Promise<void> {
  setRandomSeed(7);
  // 1,000 points of the plane; the class says whether both coordinates have the same sign.
  const x = new NDArray(
    Float32Array.from({ length: 2000 }, (_, i) => Math.sin(i * i)),
    [1000, 2],
  );
  const y = Float32Array.from({ length: 1000 }, (_, i) => Number(x.at(i, 0) * x.at(i, 1) > 0));

  const model = sequential([
    layers.dense({ units: 16, activation: 'relu', inputShape: [2] }),
    layers.dense({ units: 1, activation: 'sigmoid' }),
  ]);
  model.compile({ optimizer: 'adam', loss: 'binaryCrossentropy', metrics: ['accuracy'] });
  const { history } = await model.fit(x, y, { epochs: 60, verbose: 0 });
  console.log(`accuracy ${history.accuracy?.at(-1)?.toFixed(3)}`);
  await model.save('quadrants.keras'); // Keras 3 opens it, too
  const again = await loadModel('quadrants.keras');
  const p = await again.predict([
    [0.5, 0.5],
    [-0.5, 0.5],
  ]);
  console.log(
    Array.from(p.data, (value) => value.toFixed(2)),
    p.shape,
  );
}

main();
