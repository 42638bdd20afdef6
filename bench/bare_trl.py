"""The other side of bench/training_overhead.py: a plain TRL script, as one would write it without finetui.

    python -m bench.bare_trl SETTINGS.json

It must not use anything of finetui's: TRL prepares rows, masks and batches itself. Its only addition is the gate of
bench/lockstep.py before each step. Prints one line of JSON with the last loss.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bench.lockstep import Gate, gate_callback


def main(settings_file: Path) -> None:
    """Train, step by step as the gate lets it, and say the last loss."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
    from trl import SFTConfig, SFTTrainer

    settings = json.loads(settings_file.read_text(encoding="utf-8"))
    lines = Path(settings["train_file"]).read_text(encoding="utf-8").splitlines()
    rows = Dataset.from_list([{"messages": json.loads(line)["messages"]} for line in lines])
    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    )
    model = AutoModelForCausalLM.from_pretrained(
        settings["model"], dtype=torch.float32, quantization_config=quantization, device_map={"": "cpu"}
    )
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(output_dir=settings["output"], use_cpu=True, bf16=False, **settings["arguments"]),
        train_dataset=rows,
        processing_class=AutoTokenizer.from_pretrained(settings["model"]),
        peft_config=LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear", **settings["adapter"]),
    )
    trainer.add_callback(gate_callback(Gate(Path(settings["gate"]))))
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    print(json.dumps({"loss": losses[-1]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
