"""Write scikit-learn's handwritten digits as files for the channels `train` and `validation`.

    python prepare.py DIRECTORY

Each line is the digit and its 64 pixels (0 to 16). The 1,797 images come with scikit-learn; nothing is downloaded.
"""

import csv
import pathlib
import sys

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def write(path: pathlib.Path, images, labels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([label, *map(int, image)] for label, image in zip(labels, images, strict=True))


def main(target: pathlib.Path) -> None:
    images, labels = load_digits(return_X_y=True)
    split = train_test_split(images, labels, test_size=0.4, random_state=0, stratify=labels)
    train_images, validation_images, train_labels, validation_labels = split
    write(target / "train" / "digits.csv", train_images, train_labels)
    write(target / "validation" / "digits.csv", validation_images, validation_labels)
    print(f"{len(train_labels)} digits to train on and {len(validation_labels)} to validate with are in {target}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]))
