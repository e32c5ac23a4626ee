"""
A small neural network on scikit-learn's digits (1,797 images of 8 x 8 pixels), with PyTorch.

    waddle run --entry examples.torch_digits -- --epochs 20
    waddle run -- python examples/torch_digits.py --epochs 20
    python examples/torch_digits.py

The last one starts a run by itself, with `waddle.init()`.
"""

import argparse
import os
import sys
import tempfile

try:
    import torch
    from sklearn.datasets import load_digits
except ImportError as error:
    sys.exit("this example needs PyTorch and scikit-learn (%s): pip install torch scikit-learn" % error)


def parse(argv):
    parser = argparse.ArgumentParser(prog="torch_digits", description="A small network on scikit-learn's digits.")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--learning-rate", type=float, default=0.003)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


def load(seed):
    """(train pixels, train labels, test pixels, test labels); pixels are between 0 and 1, a quarter is for the test."""
    digits = load_digits()
    pixels = torch.tensor(digits.data / 16, dtype=torch.float32)
    labels = torch.tensor(digits.target)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    cut = len(order) * 3 // 4
    train, test = order[:cut], order[cut:]
    return pixels[train], labels[train], pixels[test], labels[test]


def waddle_main(run, argv):
    args = parse(argv)
    torch.manual_seed(args.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    train_x, train_y, test_x, test_y = (tensor.to(device) for tensor in load(args.seed))
    model = torch.nn.Sequential(
        torch.nn.Linear(64, args.hidden),
        torch.nn.ReLU(),
        torch.nn.Dropout(0.1),
        torch.nn.Linear(args.hidden, 10),
    ).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.learning_rate)
    loss_of = torch.nn.CrossEntropyLoss()

    run.log_params(vars(args))
    run.log_param("device", device)
    run.log_param("parameters", sum(weights.numel() for weights in model.parameters()))
    run.log_tag("model", "mlp")
    run.log_tag("dataset", "digits")

    step = 0
    for epoch in range(args.epochs):
        model.train()
        for batch in torch.randperm(len(train_y), device=device).split(args.batch_size):
            loss = loss_of(model(train_x[batch]), train_y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            run.log_metric("train/loss", step, loss)  # a tensor of one element is a number
            step += 1
        model.eval()
        with torch.no_grad():
            scores = model(test_x)
            test_loss = loss_of(scores, test_y)
            accuracy = (scores.argmax(1) == test_y).float().mean()
        run.log({"test/loss": test_loss, "test/accuracy": accuracy, "epoch": epoch}, step=step)
        print("epoch %3d   test loss %.4f   accuracy %.4f" % (epoch, test_loss, accuracy))

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.pt")
        torch.save(model.state_dict(), path)
        run.log_artifact("model.pt", path, kind="model")


if __name__ == "__main__":
    import waddle

    with waddle.init(project="digits") as run:
        waddle_main(run, sys.argv[1:])
