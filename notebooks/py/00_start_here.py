# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Start here: a picture, and no AccessKey
#
# An **instance RAM role** lets a program on an ECS instance (a virtual machine of Alibaba Cloud) call the cloud without
# an **AccessKey** (a lasting name and secret) in its code: it asks the instance's metadata service for a temporary
# credential, and uses that.
#
# In the next minute you create a role, let it read OSS (the storage service), attach it to an instance, fetch the
# instance's temporary credential and download a picture with it. Run the cells from top to bottom (**Shift + Enter**): you
# click the steps in a panel, or run the one line of each below it. Both do the same, and doing both changes nothing.
#
# You need no cloud account. Everything happens in a **sandbox** on this machine: it speaks the real protocols to the
# official SDKs (the libraries that programs use), checks every signature and enforces every policy. With
# `rr.connect("live")` the same cells work on a real account. After a restart of the kernel, run the cells from the top.

# %% tags=["setup"]
import ramrole_nb as rr

cloud = rr.connect()
rr.lesson(cloud, "00", made_for="0.1.0")

# %% [markdown]
# ## Click it
#
# Six buttons, in this order; the next one is lit, and so is its place in the picture of who holds what. Try another order
# too: a step too early says what is missing. **Show code** has the same step in Python, shell and Terraform.

# %% tags=["panel"]
rr.widgets.StartPanel(cloud)

# %% [markdown]
# ## Or type it
#
# The same six steps, one line each.
#
# ### 1. Create a role
#
# A role has no key of its own. Its **trust policy** says who may take it; this one trusts ECS (`ecs.aliyuncs.com`), so
# that an instance can have it.

# %% tags=["typed"]
role = cloud.roles.create("EcsRamRole")
role

# %% [markdown]
# ### 2. Say what it may do
#
# A **permission policy** does that. `AliyunOSSReadOnlyAccess` is a system policy: list and read in OSS, nothing else.

# %% tags=["typed"]
role.grant("AliyunOSSReadOnlyAccess")

# %% [markdown]
# ### 3. Attach it to an instance
#
# One instance has at most one role; one role can be on many instances. `cloud.instances` shows all that there are.

# %% tags=["typed"]
vm = cloud.instances["web-1"].attach(role)
vm

# %% [markdown]
# ### 4. Fetch the temporary credential
#
# From the instance's metadata service, in **security hardening mode**: first a token (PUT), then the credential (GET with
# the token). It is valid for six hours and is renewed by itself. What you see is masked: no secret gets into a notebook.

# %% tags=["typed"]
vm.credentials()

# %% [markdown]
# ### 5. Download with it
#
# `using(vm)` signs with the instance's role, as a program on `web-1` would. The file appears only once its length and its
# checksum (CRC64) are right.

# %% tags=["typed"]
cloud.buckets["sandbox-photos"].using(vm).download("testfolder/example.png", overwrite=True)

# %% [markdown]
# ## What just happened
#
# Who has what, in one picture: you, the role, the instance, the bucket.

# %% tags=["panel"]
rr.widgets.WorldPanel(cloud)

# %% tags=["typed"]
cloud.picture()

# %% [markdown]
# Every call you made, oldest first: who signed it, and which policy statement decided.

# %%
cloud.wire

# %% [markdown]
# Look at the last lines: the instance asked the metadata service (`IMDS`), and the picture was fetched by the role on
# `web-1`, allowed by the policy of step 2. No AccessKey was involved in that request.
#
# ## Leave nothing behind
#
# Everything created here is written in a ledger. This detaches the role, revokes the policy and deletes the role, in the
# order the services accept; it also works tomorrow, or after a crash. (Have you worked in the other notebooks already?
# What they made is taken away too. Each of them sets up what it needs again.)

# %%
cloud.clean_up()

# %% [markdown]
# ## What you learned
#
# 1. A role says who may take it on (trust policy) and what it may do (permission policy).
# 2. Attached to an instance, it gives every program there a temporary credential.
# 3. A program that uses it has no secret in its code.
#
# Ask yourself:
#
# <details><summary>Which of the steps needed your own key?</summary>1 to 3: creating, granting, attaching. The credential
# and the download are the instance's own.</details>
#
# <details><summary>The credential ends after six hours. Who renews it?</summary>The metadata service has a new one ready,
# and the library fetches it when the old one is nearly over.</details>
#
# <details><summary>What if someone copies the code of this program?</summary>They have no key: there is none in
# it.</details>
#
# ## Take it home
#
# `plain_sdk_example.py`, beside this notebook, does the same with the official SDKs alone, in three steps: `set-up`,
# `download`, `clean-up`. In a terminal (here: **File > New > Terminal**) the first command lists what each needs. The second
# lets any program act as the instance:
#
# ```sh
# python plain_sdk_example.py --help
# ramrole on web-1 -- curl http://100.100.100.200/latest/meta-data/
# ```
#
# Next, step by step and with exercises: [01 Create a role](01_create_a_role.ipynb)
